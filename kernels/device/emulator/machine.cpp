#include "kernels/device/emulator/machine.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "kernels/device/emulator/global_memory.hpp"

namespace orrery::emulator {
namespace {

std::string name_of(const Where& where) {
  std::string file = where.file_name();
  return file.substr(file.find_last_of('/') + 1) + ":" + std::to_string(where.line());
}

bool same_place(const Where& a, const Where& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

}  // namespace

Machine::Machine() = default;

Machine& Machine::instance() {
  thread_local Machine machine;
  return machine;
}

std::uint64_t Machine::draw() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

void Machine::run(const RunShape& shape, const std::function<void()>& kernel) {
  if (current_) throw EmulatorError("a kernel is launched from within a kernel");
  if (shape.threads % 32 != 0 || shape.threads == 0 || shape.threads > 32u * kMaxWarps) {
    throw EmulatorError("a block of " + std::to_string(shape.threads) + " threads: 32 to 512, whole warps");
  }
  if (shape.shared_bytes > 227 * 1024) {
    throw EmulatorError("a block with " + std::to_string(shape.shared_bytes) + " bytes of shared memory (of 232448)");
  }
  shape_ = shape;
  random_ = order_seed * 2 + 1;
  for (block_.z = 0; block_.z < shape.grid.z; ++block_.z)
    for (block_.y = 0; block_.y < shape.grid.y; ++block_.y)
      for (block_.x = 0; block_.x < shape.grid.x; ++block_.x) run_block(kernel);
}

void Machine::body(void* machine) {
  auto& self = *static_cast<Machine*>(machine);
  try {
    (*self.kernel_)();
    if (!self.current_->copies.empty() || !self.current_->groups.empty()) {
      throw EmulatorError("a thread ends with cp.async copies that it did not wait for");
    }
  } catch (...) {
    self.error_ = std::current_exception();
  }
}

void Machine::run_block(const std::function<void()>& kernel) {
  clocks_.start_block();
  shared_.start(shape_.shared_bytes);
  for (Meeting& m : warps_) m.arrived = 0;
  for (Meeting& m : groups_) m.arrived = 0;
  for (Barrier& b : barriers_) {
    b.arrived = 0;
    b.clock = {};
    b.waiting.clear();
  }
  tasks_.clear();
  ready_.clear();
  for (const auto& reset : on_block) reset();
  kernel_ = &kernel;
  error_ = nullptr;
  while (threads_.size() < shape_.threads) {
    threads_.push_back(std::make_unique<Thread>());
    threads_.back()->index = static_cast<unsigned>(threads_.size() - 1);
  }
  for (unsigned i = 0; i < shape_.threads; ++i) {
    threads_[i]->fiber.start(&Machine::body, this);
    threads_[i]->copies.clear();
    threads_[i]->groups.clear();
    threads_[i]->waits = nullptr;
    ready_.push_back(threads_[i].get());
  }
  unsigned alive = shape_.threads;
  try {
    while (alive > 0) {
      if (!tasks_.empty() && (ready_.empty() || draw() % 64 == 0)) {
        std::swap(tasks_.front(), tasks_[draw() % tasks_.size()]);
        const auto task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
        continue;
      }
      current_ = next();
      current_->fiber.enter();
      if (error_) std::rethrow_exception(error_);
      alive -= current_->fiber.done();
    }
  } catch (...) {
    current_ = nullptr;
    throw;
  }
  current_ = nullptr;
  if (!tasks_.empty()) throw EmulatorError("a block ends with bulk copies that nobody waited for");
  for (const Barrier& b : barriers_) {
    if (b.arrived) throw EmulatorError("a block ends with " + std::to_string(b.arrived) + " arrivals at a barrier");
  }
}

Machine::Thread* Machine::next() {
  if (ready_.empty()) report_deadlock();
  if (order_seed) std::swap(ready_.front(), ready_[draw() % ready_.size()]);
  Thread* thread = ready_.front();
  ready_.pop_front();
  return thread;
}

void Machine::report_deadlock() const {
  std::map<std::string, std::pair<int, unsigned>> found;        // how many, the first of them
  for (unsigned i = 0; i < shape_.threads; ++i) {
    if (threads_[i]->fiber.done()) {
      found.try_emplace("have ended", 0, i).first->second.first++;
    } else {
      found.try_emplace(std::string("wait at ") + threads_[i]->waits + " (" + name_of(threads_[i]->where) + ")", 0, i)
          .first->second.first++;
    }
  }
  std::string message = "deadlock in block " + std::to_string(block_.x) + ":";
  for (const auto& [place, who] : found) {
    message += " " + std::to_string(who.first) + " threads (from " + std::to_string(who.second) + ") " + place + ";";
  }
  throw EmulatorError(message);
}

void Machine::sleep(const char* what, Where where) {
  current_->waits = what;
  current_->where = where;
  current_->fiber.leave();
}
void Machine::wake(Thread* thread) { ready_.push_back(thread); }
int Machine::warp_of(const Thread* thread) const { return static_cast<int>(thread->index / 32); }

bool Machine::arrive(Meeting& meeting, unsigned size, unsigned place, const char* what, void* operand, Where where) {
  if (meeting.arrived == 0) {
    meeting.what = what;
    meeting.where = where;
  } else if (std::strcmp(meeting.what, what) != 0 || !same_place(meeting.where, where)) {
    throw EmulatorError("threads diverge: " + std::to_string(meeting.arrived) + " at " + meeting.what + " (" +
                        name_of(meeting.where) + "), thread " + std::to_string(current_->index) + " at " + what + " (" +
                        name_of(where) + ")");
  }
  meeting.operands[place] = operand;
  meeting.threads[place] = current_;
  if (++meeting.arrived == size) return true;
  sleep(what, where);
  return false;
}

void Machine::release(Meeting& meeting, unsigned size) {
  meeting.arrived = 0;
  for (unsigned i = 0; i < size; ++i) {
    if (meeting.threads[i] != current_) wake(meeting.threads[i]);
  }
}

void Machine::sync_warp(Where where) {
  char nothing = 0;
  meet_warp("sync_warp", nothing, [this](char* const*) { clocks_.meet(warp()); }, where);
}

bool Machine::barrier_count(unsigned id, unsigned threads, Where where) {
  if (id >= barriers_.size() || threads % 32 != 0 || threads > shape_.threads) {
    throw EmulatorError("barrier " + std::to_string(id) + " of " + std::to_string(threads) + " threads");
  }
  Barrier& b = barriers_[id];
  if (b.arrived == 0) {
    b.expected = threads;
    b.where = where;
  } else if (b.expected != threads || (id == 0 && !same_place(b.where, where))) {
    throw EmulatorError("threads diverge: barrier " + std::to_string(id) + " at " + name_of(b.where) + " and at " +
                        name_of(where));
  }
  clocks_.release(warp(), b.clock);
  if (++b.arrived < b.expected) return false;
  std::array<bool, kMaxWarps> met{};
  for (Thread* t : b.waiting) {
    clocks_.acquire(warp_of(t), b.clock);
    if (!std::exchange(met[warp_of(t)], true)) clocks_.meet(warp_of(t));
    wake(t);
  }
  b.waiting.clear();
  b.arrived = 0;
  return true;
}

void Machine::barrier_sync(unsigned id, unsigned threads, Where where) {
  Barrier& b = barriers_[id % barriers_.size()];
  if (barrier_count(id, threads, where)) {
    clocks_.acquire(warp(), b.clock);
    b.clock = {};
  } else {
    b.waiting.push_back(current_);
    sleep("barrier", where);
  }
}

void Machine::barrier_arrive(unsigned id, unsigned threads, Where where) {
  if (barrier_count(id, threads, where)) barriers_[id].clock = {};
}

void Machine::copy_async(std::uint32_t offset, const void* from, std::uint32_t size, std::uint32_t valid) {
  if (valid > size) throw EmulatorError("cp.async reads more than it writes");
  shared_.check(offset, size, size, "cp.async");
  if (valid) GlobalMemory::instance().check(from, size, size, false);
  shared_.begin_copy(offset, size, me());
  current_->copies.push_back({offset, size, valid, static_cast<const std::byte*>(from)});
}

void Machine::commit_copies() { current_->groups.push_back(std::exchange(current_->copies, {})); }

void Machine::wait_copies(unsigned groups_left) {
  while (current_->groups.size() > groups_left) {
    for (const Thread::Copy& c : current_->groups.front()) {
      std::array<std::byte, 16> data{};
      if (c.valid) std::memcpy(data.data(), c.from, c.valid);
      shared_.end_copy(c.offset, data.data(), c.size, clocks_.stamp(warp(), static_cast<int>(lane())));
    }
    current_->groups.pop_front();
  }
}

}  // namespace orrery::emulator
