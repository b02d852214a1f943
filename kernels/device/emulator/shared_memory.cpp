#include "kernels/device/emulator/shared_memory.hpp"

#include <cstring>
#include <string>

#include "kernels/device/emulator/error.hpp"

namespace orrery::emulator {

void SharedMemory::start(std::uint32_t bytes) {
  bytes_.assign(bytes, std::byte{0xff});
  grains_.resize((bytes + kGrain - 1) / kGrain);
  for (Grain& g : grains_) g.written = g.in_flight = false;
}

void SharedMemory::fail(const char* what, std::uint32_t offset, Accessor who, const char* detail) const {
  throw EmulatorError(std::string("shared memory ") + what + " at byte " + std::to_string(offset) + " by warp " +
                      std::to_string(who.warp) +
                      (who.lane == kAllLanes ? std::string() : " lane " + std::to_string(who.lane)) + ": " + detail);
}

void SharedMemory::check(std::uint32_t offset, std::uint32_t size, std::uint32_t alignment, const char* what) const {
  if (offset % alignment != 0) {
    throw EmulatorError(std::string("shared memory ") + what + " of " + std::to_string(size) + " bytes at byte " +
                        std::to_string(offset) + " is not aligned");
  }
  if (std::uint64_t{offset} + size > bytes_.size()) {
    throw EmulatorError(std::string("shared memory ") + what + " of " + std::to_string(size) + " bytes at byte " +
                        std::to_string(offset) + " is outside the block's " + std::to_string(bytes_.size()));
  }
}

void SharedMemory::note_read(std::uint32_t offset, std::uint32_t size, Accessor who, bool async_proxy) {
  for (std::uint32_t i = offset / kGrain; i <= (offset + size - 1) / kGrain; ++i) {
    Grain& g = grains_[i];
    if (g.in_flight) fail("read", i * kGrain, who, "an asynchronous copy to it has not landed");
    if (!g.written) fail("read", i * kGrain, who, "nobody has written it");
    if (!clocks_.ordered(g.write, who.warp, who.lane)) fail("read", i * kGrain, who, "races with a write");
    if (async_proxy && !fenced(g)) {
      fail("read", i * kGrain, who, "by the async proxy, but its writer did not fence.proxy.async");
    }
    const Stamp now = clocks_.stamp(who.warp, who.lane);
    const bool same = g.read_epoch[who.warp] == now.epoch && g.read_clock[who.warp] != 0;
    g.read_lane[who.warp] =
        static_cast<std::int8_t>(same && g.read_lane[who.warp] != who.lane ? kAllLanes : who.lane);
    g.read_clock[who.warp] = now.clock;
    g.read_epoch[who.warp] = now.epoch;
  }
}

void SharedMemory::require_writable(const Grain& g, std::uint32_t offset, Accessor who) const {
  if (g.in_flight) fail("write", offset, who, "an asynchronous copy to it has not landed");
  if (!clocks_.ordered(g.write, who.warp, who.lane)) fail("write", offset, who, "races with a write");
  for (int w = 0; w < kMaxWarps; ++w) {
    if (g.read_clock[w] == 0) continue;
    const Stamp read{g.read_clock[w], g.read_epoch[w], static_cast<std::int16_t>(w), g.read_lane[w]};
    if (!clocks_.ordered(read, who.warp, who.lane)) fail("write", offset, who, "races with a read");
  }
}

void SharedMemory::note_write(std::uint32_t offset, std::uint32_t size, Accessor who) {
  ++event_;
  for (std::uint32_t i = offset / kGrain; i <= (offset + size - 1) / kGrain; ++i) {
    Grain& g = grains_[i];
    require_writable(g, i * kGrain, who);
    g.write = clocks_.stamp(who.warp, who.lane);
    g.event = event_;
    g.written = true;
  }
  ++event_;
}

void SharedMemory::require_fenced(std::uint32_t offset, std::uint32_t size, Accessor who) const {
  for (std::uint32_t i = offset / kGrain; i <= (offset + size - 1) / kGrain; ++i) {
    if (grains_[i].written && !fenced(grains_[i])) {
      fail("write", i * kGrain, who, "by the async proxy, but who wrote there did not fence.proxy.async");
    }
  }
}

void SharedMemory::begin_copy(std::uint32_t offset, std::uint32_t size, Accessor who) {
  for (std::uint32_t i = offset / kGrain; i <= (offset + size - 1) / kGrain; ++i) {
    require_writable(grains_[i], i * kGrain, who);
    grains_[i].in_flight = true;
  }
  std::memset(bytes_.data() + offset, 0xff, size);
}

void SharedMemory::end_copy(std::uint32_t offset, const void* in, std::uint32_t size, Stamp stamp) {
  ++event_;
  for (std::uint32_t i = offset / kGrain; i <= (offset + size - 1) / kGrain; ++i) {
    Grain& g = grains_[i];
    g.in_flight = false;
    g.written = true;
    g.write = stamp;
    g.event = event_;
  }
  ++event_;
  copy_in(offset, in, size);
}

void SharedMemory::copy_out(void* out, std::uint32_t offset, std::uint32_t size) const {
  std::memcpy(out, bytes_.data() + offset, size);
}
void SharedMemory::copy_in(std::uint32_t offset, const void* in, std::uint32_t size) {
  std::memcpy(bytes_.data() + offset, in, size);
}

}  // namespace orrery::emulator
