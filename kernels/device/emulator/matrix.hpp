/// The warp's matrix instructions, with the fragment layouts of the PTX ISA (mma.m16n8k16, ldmatrix.m8n8.x4), and the
/// conversions they need.
///
///   load_matrices(r, my_row_offset, transposed, where);   multiply_add<Bf16>(c, a, b0, b1, where);
///
/// Rows of ldmatrix that fall into the same banks are counted (Counters::ldmatrix_conflicts): eight rows of 16 bytes
/// take one turn if they cover all 32 banks.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/common/scalar.hpp"
#include "kernels/device/emulator/machine.hpp"

namespace orrery::emulator {

/// Round to nearest, ties to even; overflow to infinity. Takes double, so that a fused product is rounded once.
Half round_to_half(double x);

void load_matrices(std::uint32_t (&r)[4], std::uint32_t offset, bool transposed, Where where);

struct MmaOperand {
  float* c;
  const std::uint32_t* a;
  std::uint32_t b[2];
};
/// Values of a warp's fragments as matrices.
struct MmaTile {
  float a[16][16], b[16][8];
};
template <class T>
void gather(MmaOperand* const* lanes, MmaTile& tile) {
  const auto half = [](std::uint32_t word, int i) { return from(T{static_cast<std::uint16_t>(word >> (16 * i))}); };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int r = 0; r < 4; ++r) {
      for (int i = 0; i < 2; ++i) tile.a[group + r % 2 * 8][pair + r / 2 * 8 + i] = half(lanes[lane]->a[r], i);
    }
    for (int r = 0; r < 2; ++r) {
      for (int i = 0; i < 2; ++i) tile.b[pair + r * 8 + i][group] = half(lanes[lane]->b[r], i);
    }
  }
}
void multiply(MmaOperand* const* lanes, const MmaTile& tile);

template <class T>
void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, Where where) {
  MmaOperand mine{c, a, {b0, b1}};
  Machine::instance().meet_warp("mma", mine, [](MmaOperand* const* lanes) {
    MmaTile tile;
    gather<T>(lanes, tile);
    multiply(lanes, tile);
  }, where);
}

/// An atomic operation on shared memory, by one thread.
template <class T, class F>
T shared_atomic(std::uint32_t offset, const F& f) {
  Machine& m = Machine::instance();
  T old;
  m.shared().read(&old, offset, sizeof(T), m.me());
  const T next = f(old);
  m.shared().copy_in(offset, &next, sizeof(T));
  return old;
}

}  // namespace orrery::emulator
