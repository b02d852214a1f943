/// The emulator's sm_90a: barriers that count bytes, the copy engine, products of a warpgroup; and what it notices.
#include "kernels/device/hopper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/device/buffer.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery::gpu_emulated {
namespace {

using emulator::EmulatorError;
using testing::HasSubstr;
using testing::ThrowsMessage;

template <class F>
void run(unsigned threads, std::uint32_t shared_bytes, const F& body) {
  Machine::instance().run({{1, 1, 1}, threads, shared_bytes}, body);
}

/// A matrix of bf16 on the device and its values.
struct Matrix {
  Matrix(int row_count, int column_count, const char* name)
      : rows(row_count), columns(column_count),
        host(random_vector<Bf16>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), name)),
        device(host, name) {}
  float at(int r, int c) const { return from(host[static_cast<std::size_t>(r * columns + c)]); }
  /// Boxes of 64 columns and `box_rows` rows.
  TensorMap map(int box_rows) const {
    const auto width = static_cast<std::uint64_t>(columns);
    return make_tensor_map({.base = device.data(), .size = {width, 1, static_cast<std::uint64_t>(rows)},
                            .stride = {width * 2, width * 2}, .box = {64, 1, static_cast<std::uint32_t>(box_rows)}});
  }
  int rows, columns;
  std::vector<Bf16> host;
  DeviceBuffer<Bf16> device;
};

constexpr std::uint32_t kBar = 65536;

TEST(Hopper, BringsBoxesSwizzledAndZerosOutside) {
  const Matrix x(20, 128, "x");
  run(32, kBar + 8, [&] {
    if (lane_index() == 0) {
      mbarrier_init(kBar, 1);
      fence_barrier_init();
    }
    sync_threads();
    if (lane_index() == 0) {
      mbarrier_expect(kBar, 16 * 128);
      copy_box(1024, x.map(16), 64, 0, 10, kBar);
    }
    mbarrier_wait(kBar, 0);
    for (std::uint32_t row = 0; row < 16; ++row) {
      for (std::uint32_t c = lane_index(); c < 64; c += 32) {
        const auto bits = shared_load<std::uint16_t>(1024 + slab_offset(row, c / 8) + c % 8 * 2);
        EXPECT_EQ(from(Bf16{bits}), row < 10 ? x.at(static_cast<int>(row) + 10, static_cast<int>(c) + 64) : 0);
      }
    }
  });
}

/// d = a b^T over 128 k in two slabs, then d2 = p c with p in registers and c with n contiguous, over 32 k.
TEST(Hopper, MultipliesMatrices) {
  const Matrix a(64, 128, "a"), b(128, 128, "b"), c(32, 128, "c");
  std::vector<float> d(64 * 128), d2(64 * 128);
  constexpr std::uint32_t kA = 0, kB = 16384, kC = kB + 32768;
  run(128, kBar + 8, [&] {
    if (thread_index() == 0) {
      mbarrier_init(kBar, 1);
      fence_barrier_init();
      mbarrier_expect(kBar, 16384 + 32768 + 8192);
      for (int slab = 0; slab < 2; ++slab) {
        const auto s = static_cast<std::uint32_t>(slab);
        copy_box(kA + s * 8192, a.map(64), slab * 64, 0, 0, kBar);
        copy_box(kB + s * 16384, b.map(128), slab * 64, 0, 0, kBar);
        copy_box(kC + s * 4096, c.map(32), slab * 64, 0, 0, kBar);
      }
    }
    sync_threads();
    mbarrier_wait(kBar, 0);
    float s[16][4], o[16][4] = {};
    wgmma_fence();
    for (std::uint32_t k = 0; k < 8; ++k) {
      wgmma_keys<128>(s, advanced(matrix_descriptor(kA), k / 4 * 8192 + k % 4 * 32),
                      advanced(matrix_descriptor(kB), k / 4 * 16384 + k % 4 * 32), k > 0);
    }
    wgmma_commit();
    EXPECT_TRUE(std::isnan(s[0][0]));                            // not there yet
    wgmma_wait<0>();
    std::uint32_t p[2][4];
    for (int k = 0; k < 2; ++k) {
      for (int i = 0; i < 4; ++i) p[k][i] = pack_bf16(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
    }
    wgmma_fence();
    for (std::uint32_t k = 0; k < 2; ++k) wgmma_values<128>(o, p[k], advanced(matrix_descriptor(kC, 4096), k * 2048));
    wgmma_commit();
    wgmma_wait<0>();
    for (unsigned j = 0; j < 16; ++j) {
      for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = warp_index() * 16 + lane_index() / 4 + i / 2 * 8, n = j * 8 + lane_index() % 4 * 2 + i % 2;
        d[row * 128 + n] = s[j][i];
        d2[row * 128 + n] = o[j][i];
      }
    }
  });
  for (int row = 0; row < 64; ++row) {
    for (int n = 0; n < 128; ++n) {
      double sum = 0, sum2 = 0;
      for (int k = 0; k < 128; ++k) sum += double{a.at(row, k)} * b.at(n, k);
      for (int k = 0; k < 32; ++k) {
        sum2 += double{from(to<Bf16>(d[static_cast<std::size_t>(row * 128 + k)]))} * c.at(k, n);
      }
      ASSERT_NEAR(d[static_cast<std::size_t>(row * 128 + n)], sum, 1e-3);
      ASSERT_NEAR(d2[static_cast<std::size_t>(row * 128 + n)], sum2, 1e-3);
    }
  }
}

#define EXPECT_NOTICED(text, ...) EXPECT_THAT([&] { __VA_ARGS__; }, ThrowsMessage<EmulatorError>(HasSubstr(text)))

/// A block that fills the operands by threads and multiplies; `before` and `during` may leave out what is needed.
template <class Before, class During>
void multiply(const Before& before, const During& during) {
  run(128, 32768, [&] {
    for (std::uint32_t i = thread_index(); i < 32768 / 16; i += 128) shared_store<Vec4>(i * 16, {});
    before();
    float d[16][4];
    wgmma_keys<128>(d, matrix_descriptor(0), matrix_descriptor(16384), false);
    wgmma_commit();
    during();
    wgmma_wait<0>();
  });
}

TEST(Hopper, NoticesWhatProductsNeed) {
  const auto nothing = [] {};
  multiply([] { fence_async(); sync_threads(); wgmma_fence(); }, nothing);
  EXPECT_NOTICED("did not fence.proxy.async", multiply([] { sync_threads(); wgmma_fence(); }, nothing));
  EXPECT_NOTICED("races with a write", multiply([] { fence_async(); wgmma_fence(); }, nothing));
  EXPECT_NOTICED("without wgmma.fence", multiply([] { fence_async(); sync_threads(); }, nothing));
  EXPECT_NOTICED("races with a read", multiply([] { fence_async(); sync_threads(); wgmma_fence(); },
                                               [] { if (thread_index() == 64) shared_store<Vec4>(0, {}); }));
}

TEST(Hopper, NoticesWhatCopiesNeed) {
  const Matrix x(16, 64, "x");
  const auto copy = [&](std::uint32_t to, bool sync, bool wait, std::uint32_t bytes) {
    run(64, kBar + 8, [=, &x] {
      if (thread_index() == 0) mbarrier_init(kBar, 1);
      if (sync) sync_threads();
      if (thread_index() == 32) {
        mbarrier_expect(kBar, bytes);
        copy_box(to, x.map(16), 0, 0, 0, kBar);
      }
      if (wait) mbarrier_wait(kBar, 0);
      sync_threads();
      shared_load<std::uint16_t>(to);
    });
  };
  copy(0, true, true, 2048);
  EXPECT_NOTICED("is not aligned", copy(512, true, true, 2048));
  EXPECT_NOTICED("has not landed", copy(0, true, false, 2048));
  EXPECT_NOTICED("wait at barrier in shared memory", copy(0, true, true, 4096));
  EXPECT_NOTICED("races with a write", copy(0, false, true, 2048));   // the barrier itself was not seen yet
}

}  // namespace
}  // namespace orrery::gpu_emulated
