#include "kernels/device/emulator/fiber.hpp"

#include <cstdint>
#include <cstdlib>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace orrery::emulator {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStackBytes = 512 * 1024;
#else
constexpr std::size_t kStackBytes = 96 * 1024;
#endif

thread_local Fiber* starting = nullptr;

}  // namespace

#if defined(__x86_64__)

// Saves the registers that a callee must keep, and the stack pointer in *save; continues at `load`.
extern "C" void orrery_fiber_switch(void** save, void* load);
asm(R"(
.text
.globl orrery_fiber_switch
.hidden orrery_fiber_switch
.type orrery_fiber_switch, @function
orrery_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size orrery_fiber_switch, .-orrery_fiber_switch
)");

struct Fiber::Context {
  void* inside = nullptr;
  void* outside = nullptr;
  const void* outside_bottom = nullptr;      // for the address sanitizer
  std::size_t outside_size = 0;
  void* fake = nullptr;

  void prepare(std::byte* stack, void (*entry)()) {
    auto top = reinterpret_cast<std::uintptr_t>(stack + kStackBytes) & ~std::uintptr_t{15};
    auto** at = reinterpret_cast<void**>(top) - 2;             // a callee finds its stack 8 off a multiple of 16
    *at = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--at = nullptr;
    inside = at;
  }
  void in() { orrery_fiber_switch(&outside, inside); }
  void out() { orrery_fiber_switch(&inside, outside); }
};

#else

struct Fiber::Context {
  ucontext_t inside, outside;
  const void* outside_bottom = nullptr;
  std::size_t outside_size = 0;
  void* fake = nullptr;

  void prepare(std::byte* stack, void (*entry)()) {
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = kStackBytes;
    inside.uc_link = nullptr;
    makecontext(&inside, entry, 0);
  }
  void in() { swapcontext(&outside, &inside); }
  void out() { swapcontext(&inside, &outside); }
};

#endif

Fiber::Fiber() : context_(std::make_unique<Context>()), stack_(new std::byte[kStackBytes]) {}
Fiber::~Fiber() = default;

void Fiber::start(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  done_ = false;
  context_->fake = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_.get(), kStackBytes);   // of a run that was abandoned
#endif
  context_->prepare(stack_.get(), &Fiber::run);
}

void Fiber::finish_switch() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(context_->fake, &context_->outside_bottom, &context_->outside_size);
#endif
}

void Fiber::run() {
  Fiber& self = *starting;
  self.finish_switch();
  self.body_(self.argument_);
  self.done_ = true;
  self.leave();
  std::abort();                              // a fiber that is done is not entered
}

void Fiber::enter() {
  starting = this;
#if defined(__SANITIZE_ADDRESS__)
  void* own = nullptr;
  __sanitizer_start_switch_fiber(&own, stack_.get(), kStackBytes);
  context_->in();
  __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#else
  context_->in();
#endif
}

void Fiber::leave() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(done_ ? nullptr : &context_->fake, context_->outside_bottom, context_->outside_size);
#endif
  context_->out();
  finish_switch();
}

}  // namespace orrery::emulator
