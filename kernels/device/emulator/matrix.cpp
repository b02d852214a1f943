#include "kernels/device/emulator/matrix.hpp"

#include <algorithm>
#include <limits>

namespace orrery::emulator {

Half round_to_half(double x) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(x) ? 0x8000 : 0);
  const double a = std::fabs(x);
  if (x != x) return {0x7fff};
  if (a >= 65520) return {static_cast<std::uint16_t>(sign | 0x7c00)};
  if (a == 0) return {sign};
  int exponent = 0;
  std::frexp(a, &exponent);                                  // a = f 2^exponent, f in [1/2, 1)
  exponent = std::max(exponent - 1, -14);
  const double unit = std::ldexp(1.0, exponent - 10);
  const auto steps = static_cast<std::uint32_t>(std::nearbyint(a / unit));     // 1024 to 2048; fewer if subnormal
  return {static_cast<std::uint16_t>(sign | (static_cast<std::uint32_t>(exponent + 14) * 1024 + steps))};
}

void load_matrices(std::uint32_t (&r)[4], std::uint32_t offset, bool transposed, Where where) {
  struct Operand {
    std::uint32_t* r;
    std::uint32_t offset;
  } mine{r, offset};
  Machine& m = Machine::instance();
  m.meet_warp(transposed ? "ldmatrix_transposed" : "ldmatrix", mine, [&m, transposed](Operand* const* lanes) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      std::uint16_t x[8][8];
      int turns[8] = {};
      for (int row = 0; row < 8; ++row) {
        const std::uint32_t at = lanes[matrix * 8 + row]->offset;
        m.shared().read(x[row], at, 16, m.my_warp());
        ++turns[at / 16 % 8];
      }
      ++m.counters.ldmatrix;
      m.counters.ldmatrix_conflicts += *std::max_element(turns, turns + 8) - 1;
      for (int lane = 0; lane < 32; ++lane) {
        const int a = lane / 4, b = lane % 4 * 2;
        lanes[lane]->r[matrix] = transposed ? x[b][a] | std::uint32_t{x[b + 1][a]} << 16
                                            : x[a][b] | std::uint32_t{x[a][b + 1]} << 16;
      }
    }
  }, where);
}

void multiply(MmaOperand* const* lanes, const MmaTile& tile) {
  float d[16][8] = {};
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) {
      for (int j = 0; j < 8; ++j) d[i][j] += tile.a[i][k] * tile.b[k][j];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) lanes[lane]->c[i] += d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
  ++Machine::instance().counters.mma;
}

}  // namespace orrery::emulator
