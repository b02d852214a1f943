/// Maps pages ahead while a step runs (vAttention, section 6: mapping overlaps with the computation before it).
///
///   BackgroundMap ahead(pool);
///   launch_step();  ahead.start(slots, tokens_next_step, 2);       // at most two blocks
///   wait_for_step();  ahead.wait();                                 // now the pool is the caller's again
///
/// Between start() and wait() the pool belongs to the background thread: the caller may not touch it. One thread,
/// asleep unless there is something to map. The pool must outlive it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "kernels/virtual_kv/virtual_kv.hpp"

namespace orrery {

class BackgroundMap {
 public:
  explicit BackgroundMap(VirtualKv& pool);
  ~BackgroundMap();
  BackgroundMap(const BackgroundMap&) = delete;
  BackgroundMap& operator=(const BackgroundMap&) = delete;

  /// As VirtualKv::premap, beside the caller. Waits first, if the last one is not done.
  void start(std::span<const int> slots, std::span<const std::int64_t> tokens, std::int64_t blocks);
  /// Blocks mapped since the last wait().
  std::int64_t wait();

 private:
  void run();

  VirtualKv& pool_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_ = false, end_ = false;              ///< asked_: from start() until it is done
  std::vector<int> slots_;
  std::vector<std::int64_t> tokens_;
  std::int64_t blocks_ = 0, mapped_ = 0;
  std::thread thread_;                            ///< last: it sees the others made
};

}  // namespace orrery
