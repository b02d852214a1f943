/// The shared memory of an emulated thread block, which knows for every two bytes who wrote and read them last.
///
///   memory.start(bytes, seed);   memory.write(offset, &x, 4, who);   memory.read(&x, offset, 4, who);
///
/// Throws EmulatorError on: an access outside, one not aligned to its size, a read of what nobody has written, a read
/// or write that is not ordered after another thread's write (or a write after its read), a read of what an
/// asynchronous copy is still writing, and an access through the async proxy to what was written through the generic
/// one without a fence.proxy.async by the writer in between. Unwritten memory is NaN in all formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/device/emulator/clocks.hpp"

namespace orrery::emulator {

/// The thread on whose behalf an access is made.
struct Accessor {
  int warp = 0, lane = 0;                    ///< lane kAllLanes: the whole warp at once
};

class SharedMemory {
 public:
  explicit SharedMemory(Clocks& clocks) : clocks_(clocks) {}

  void start(std::uint32_t bytes);
  std::uint32_t bytes() const { return static_cast<std::uint32_t>(bytes_.size()); }

  void read(void* out, std::uint32_t offset, std::uint32_t size, Accessor who) {
    check(offset, size, size, "read");
    note_read(offset, size, who, false);
    copy_out(out, offset, size);
  }
  void write(std::uint32_t offset, const void* in, std::uint32_t size, Accessor who) {
    check(offset, size, size, "write");
    note_write(offset, size, who);
    copy_in(offset, in, size);
  }

  /// Bounds and alignment.
  void check(std::uint32_t offset, std::uint32_t size, std::uint32_t alignment, const char* what) const;
  /// A read of ordered, initialised memory. `async_proxy`: by wgmma or TMA.
  void note_read(std::uint32_t offset, std::uint32_t size, Accessor who, bool async_proxy);
  void note_write(std::uint32_t offset, std::uint32_t size, Accessor who);
  /// An asynchronous copy into the range begins: nobody may touch it until it has landed.
  void begin_copy(std::uint32_t offset, std::uint32_t size, Accessor who);
  /// It has landed, and is ordered as the stamp says.
  void end_copy(std::uint32_t offset, const void* in, std::uint32_t size, Stamp stamp);
  /// What threads wrote there is known to the async proxy.
  void require_fenced(std::uint32_t offset, std::uint32_t size, Accessor who) const;
  /// The thread's generic writes up to now are visible to the async proxy.
  void fence_async(Accessor who) { fence_[who.warp * 33 + who.lane] = event_; }

  void copy_out(void* out, std::uint32_t offset, std::uint32_t size) const;
  void copy_in(std::uint32_t offset, const void* in, std::uint32_t size);

 private:
  static constexpr std::uint32_t kGrain = 2;
  struct Grain {
    Stamp write;
    std::uint64_t event = 0;                 ///< of the write, if generic
    std::uint32_t read_clock[kMaxWarps] = {};   ///< last read of each warp, on the warp's clock
    std::uint32_t read_epoch[kMaxWarps] = {};
    std::int8_t read_lane[kMaxWarps] = {};   ///< who read in that epoch; kAllLanes if several
    bool written = false, in_flight = false;
  };
  [[noreturn]] void fail(const char* what, std::uint32_t offset, Accessor who, const char* detail) const;
  bool fenced(const Grain& g) const {
    return g.write.agent < 0 || g.write.agent >= kCopyEngine || g.event < fence_[g.write.agent * 33 + g.write.lane];
  }
  void require_writable(const Grain& g, std::uint32_t offset, Accessor who) const;

  Clocks& clocks_;
  std::vector<std::byte> bytes_;
  std::vector<Grain> grains_;
  std::uint64_t fence_[kMaxWarps * 33] = {};
  std::uint64_t event_ = 1;
};

}  // namespace orrery::emulator
