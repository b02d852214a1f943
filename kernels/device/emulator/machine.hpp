/// Runs a kernel, block after block, on the CPU: every thread of a block is a fiber that runs until it must wait for
/// others (a barrier, a warp's collective operation, memory that is being copied). No parallelism, one at a time.
///
///   Machine::instance().run({.grid = {4, 1, 1}, .threads = 128, .shared_bytes = 4096}, [&] { kernel(args); });
///
/// Throws EmulatorError where a thread does what is undefined on a GPU, and when no thread can go on: the message says
/// who waits where. `order_seed` draws the order in which threads run; 0 is first come first served. Asynchronous
/// copies land as late as they may (cp.async) or at drawn times (TMA), so that a missing wait is noticed.
/// Blocks are run one after another: a kernel must not wait for another block. At most 512 threads a block.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <set>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device/emulator/clocks.hpp"
#include "kernels/device/emulator/error.hpp"
#include "kernels/device/emulator/fiber.hpp"
#include "kernels/device/emulator/shared_memory.hpp"

namespace orrery::emulator {

using Where = std::source_location;

struct Index3 {
  unsigned x = 1, y = 1, z = 1;
};

struct RunShape {
  Index3 grid;
  unsigned threads = 32;
  std::uint32_t shared_bytes = 0;
};

/// What the launches of a thread have done, for tests of the kernels' quality.
struct Counters {
  std::int64_t ldmatrix = 0;            ///< matrices of 8 rows read
  std::int64_t ldmatrix_conflicts = 0;  ///< extra turns that rows in the same banks took
  std::int64_t mma = 0;
};

class Machine {
 public:
  static Machine& instance();

  void run(const RunShape& shape, const std::function<void()>& kernel);

  // What a thread asks of the machine it runs on.
  unsigned thread() const { return current_->index; }
  unsigned lane() const { return current_->index % 32; }
  int warp() const { return static_cast<int>(current_->index / 32); }
  Index3 block() const { return block_; }
  const RunShape& shape() const { return shape_; }
  SharedMemory& shared() { return shared_; }
  Clocks& clocks() { return clocks_; }
  Accessor me() const { return {warp(), static_cast<int>(lane())}; }
  Accessor my_warp() const { return {warp(), kAllLanes}; }

  /// All 32 lanes come with an operand each; the last to come calls perform(operands), then all go on.
  template <class Operand, class Perform>
  void meet_warp(const char* what, Operand& mine, const Perform& perform, Where where) {
    meet(warps_[warp()], 32, lane(), what, mine, perform, where);
  }
  /// The same for the 128 threads of four warps.
  template <class Operand, class Perform>
  void meet_warpgroup(const char* what, Operand& mine, const Perform& perform, Where where) {
    meet(groups_[warp() / 4], 128, thread() % 128, what, mine, perform, where);
  }
  void sync_warp(Where where);
  /// Barriers 0 to 15. Who arrives does not wait.
  void barrier_sync(unsigned id, unsigned threads, Where where);
  void barrier_arrive(unsigned id, unsigned threads, Where where);

  /// For tests of tests: a place in the sources that waits, fences or arrives, which is left out when it is `omitted`.
  /// True if it is. All such places that were reached are in `places`.
  bool omits(Where where) {
    const std::pair<std::string, unsigned> place{where.file_name(), where.line()};
    places.insert(place);
    return place == omitted;
  }
  std::set<std::pair<std::string, unsigned>> places;
  std::pair<std::string, unsigned> omitted;

  // cp.async
  void copy_async(std::uint32_t offset, const void* from, std::uint32_t size, std::uint32_t valid);
  void commit_copies();
  void wait_copies(unsigned groups_left);

  // For waits of other kinds (mbarrier): the thread sleeps until somebody wakes it.
  struct Thread;
  Thread* self() { return current_; }
  void sleep(const char* what, Where where);
  void wake(Thread* thread);
  int warp_of(const Thread* thread) const;
  /// Done by the copy engine at some later time of its choosing.
  void later(std::function<void()> task) { tasks_.push_back(std::move(task)); }

  std::uint64_t order_seed = 0;
  Counters counters;
  /// Called when a block starts; state of other units lives with them (hopper).
  std::vector<std::function<void()>> on_block;

  struct Thread {
    struct Copy {
      std::uint32_t offset, size, valid;
      const std::byte* from;
    };
    unsigned index = 0;
    Fiber fiber;
    const char* waits = nullptr;
    Where where;
    std::vector<Copy> copies;
    std::deque<std::vector<Copy>> groups;
  };

 private:
  struct Meeting {
    unsigned arrived = 0;
    const char* what = nullptr;
    Where where;
    std::array<void*, 128> operands{};
    std::array<Thread*, 128> threads{};
  };
  struct Barrier {
    unsigned expected = 0, arrived = 0;
    VectorClock clock{};
    Where where;
    std::vector<Thread*> waiting;
  };
  Machine();
  template <class Operand, class Perform>
  void meet(Meeting& meeting, unsigned size, unsigned place, const char* what, Operand& mine, const Perform& perform,
            Where where) {
    if (!arrive(meeting, size, place, what, &mine, where)) return;
    std::array<Operand*, 128> operands;
    for (unsigned i = 0; i < size; ++i) operands[i] = static_cast<Operand*>(meeting.operands[i]);
    perform(operands.data());
    release(meeting, size);
  }
  bool arrive(Meeting& meeting, unsigned size, unsigned place, const char* what, void* operand, Where where);
  void release(Meeting& meeting, unsigned size);
  bool barrier_count(unsigned id, unsigned threads, Where where);
  void run_block(const std::function<void()>& kernel);
  Thread* next();
  [[noreturn]] void report_deadlock() const;
  std::uint64_t draw();
  static void body(void* machine);

  Clocks clocks_;
  SharedMemory shared_{clocks_};
  RunShape shape_;
  Index3 block_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::array<Meeting, kMaxWarps> warps_;
  std::array<Meeting, kMaxWarps / 4> groups_;
  std::array<Barrier, 16> barriers_;
  std::deque<Thread*> ready_;
  std::deque<std::function<void()>> tasks_;
  Thread* current_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
  std::exception_ptr error_;
  std::uint64_t random_ = 1;
};

}  // namespace orrery::emulator
