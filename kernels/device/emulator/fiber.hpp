/// A thread of execution that runs until it says otherwise: one for each emulated GPU thread.
///
///   fiber.start([](void* x) { ...; fiber_of(x).leave(); ... }, x);   while (!fiber.done()) fiber.enter();
///
/// enter() and leave() cost a few nanoseconds (x86-64: six registers and the stack pointer; elsewhere ucontext). The
/// body must not let an exception escape. A fiber owns its stack and may be started again after its end, or after it
/// was abandoned half way (then nothing on its stack is destroyed).
#pragma once

#include <cstddef>
#include <memory>

namespace orrery::emulator {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void start(void (*body)(void*), void* argument);
  void enter();                              ///< from outside: until leave() or the end
  void leave();                              ///< from inside
  bool done() const { return done_; }

 private:
  [[noreturn]] static void run();
  void finish_switch();

  struct Context;
  std::unique_ptr<Context> context_;
  std::unique_ptr<std::byte[]> stack_;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  bool done_ = true;
};

}  // namespace orrery::emulator
