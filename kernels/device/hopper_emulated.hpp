/// hopper.hpp on the emulator (emulator/hopper.hpp). Included by hopper.hpp only.
#pragma once

#include <cstdint>

#include "kernels/device/device.hpp"
#include "kernels/device/emulator/hopper.hpp"
#include "kernels/device/tensor_map.hpp"

namespace orrery::gpu_emulated {

inline std::uint32_t shared_address(std::uint32_t offset) { return offset; }

inline void mbarrier_init(std::uint32_t bar, std::uint32_t arrivals) {
  emulator::Hopper::instance().init(bar, arrivals);
}
inline void fence_barrier_init() {}
inline void mbarrier_arrive(std::uint32_t bar, Where where = Where::current()) {
  if (!Machine::instance().omits(where)) emulator::Hopper::instance().arrive(bar, 0);
}
inline void mbarrier_expect(std::uint32_t bar, std::uint32_t bytes) { emulator::Hopper::instance().arrive(bar, bytes); }
inline void mbarrier_wait(std::uint32_t bar, std::uint32_t parity, Where where = Where::current()) {
  if (!Machine::instance().omits(where)) emulator::Hopper::instance().wait(bar, parity, where);
}
inline void fence_async(Where where = Where::current()) {
  if (!Machine::instance().omits(where)) Machine::instance().shared().fence_async(Machine::instance().me());
}

inline void copy_box(std::uint32_t to, const TensorMap& map, std::int32_t c0, std::int32_t c1, std::int32_t c2,
                     std::uint32_t bar) {
  emulator::Box box{.base = static_cast<const std::byte*>(map.t.base)};
  const std::int32_t at[3] = {c0, c1, c2};
  for (int i = 0; i < 3; ++i) {
    box.size[i] = static_cast<std::int64_t>(map.t.size[i]);
    box.stride[i] = i == 0 ? 2 : static_cast<std::int64_t>(map.t.stride[i - 1]);
    box.box[i] = static_cast<std::int64_t>(map.t.box[i]);
    box.at[i] = at[i];
  }
  emulator::Hopper::instance().copy(to, box, bar);
}

template <int kRegisters>
void more_registers() {}
template <int kRegisters>
void fewer_registers() {}

inline void wgmma_fence(Where where = Where::current()) {
  if (!Machine::instance().omits(where)) emulator::Hopper::instance().fence(where);
}
inline void wgmma_commit(Where where = Where::current()) {
  if (!Machine::instance().omits(where)) emulator::Hopper::instance().commit(where);
}
template <int kGroupsLeft>
void wgmma_wait(Where where = Where::current()) {
  if (!Machine::instance().omits(where)) emulator::Hopper::instance().wait_groups(kGroupsLeft, where);
}
template <int kTiles>
void wgmma_hold(float (&)[kTiles][4]) {}

template <int kN>
void wgmma_keys(float (&d)[kN / 8][4], std::uint64_t a, std::uint64_t b, bool add, Where where = Where::current()) {
  emulator::Hopper::instance().multiply({.d = &d[0][0], .n = kN, .a = a, .b = b, .add = add}, where);
}
template <int kN>
void wgmma_values(float (&d)[kN / 8][4], const std::uint32_t (&a)[4], std::uint64_t b,
                  Where where = Where::current()) {
  emulator::Hopper::instance().multiply({.d = &d[0][0], .n = kN, .registers = a, .b = b, .transposed = true}, where);
}

}  // namespace orrery::gpu_emulated
