#include "kernels/virtual_kv/background_map.hpp"

#include <utility>

namespace orrery {

BackgroundMap::BackgroundMap(VirtualKv& pool) : pool_(pool), thread_([this] { run(); }) {}

BackgroundMap::~BackgroundMap() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BackgroundMap::start(std::span<const int> slots, std::span<const std::int64_t> tokens, std::int64_t blocks) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !asked_; });
  slots_.assign(slots.begin(), slots.end());
  tokens_.assign(tokens.begin(), tokens.end());
  blocks_ = blocks;
  asked_ = true;
  lock.unlock();
  changed_.notify_all();
}

std::int64_t BackgroundMap::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !asked_; });
  return std::exchange(mapped_, 0);
}

void BackgroundMap::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return asked_ || end_; });
    if (!asked_) return;
    lock.unlock();                                // the pool is this thread's until asked_ is false
    const std::int64_t mapped = pool_.premap(slots_, tokens_, blocks_);
    lock.lock();
    mapped_ += mapped;
    asked_ = false;
    changed_.notify_all();
  }
}

}  // namespace orrery
