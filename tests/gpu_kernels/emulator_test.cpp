/// The emulator of the CUDA execution model: what its instructions compute, and that it notices what a GPU would let
/// pass or die of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/device/buffer.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery::gpu_emulated {
namespace {

using emulator::EmulatorError;
using emulator::Machine;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// One block of threads that runs `body`.
template <class F>
void run(unsigned threads, std::uint32_t shared_bytes, const F& body) {
  Machine::instance().run({{1, 1, 1}, threads, shared_bytes}, body);
}

TEST(Emulator, RunsEveryThreadOfEveryBlockOnce) {
  DeviceBuffer<int> seen(2 * 3 * 64, "seen");
  device_fill(seen.data(), 0, seen.size() * sizeof(int), nullptr);
  Machine::instance().run({{2, 3, 1}, 64, 0}, [&] {
    atomic_add(seen.data() + (block_index_y() * 2 + block_index()) * 64 + thread_index(), 1);
  });
  EXPECT_THAT(seen.download(), testing::Each(1));
}

TEST(Emulator, BarriersOrderSharedMemory) {
  for (std::uint64_t seed : {0, 1, 2, 3}) {
    Machine::instance().order_seed = seed;
    int wrong = 0;
    run(128, 512, [&] {
      shared_store<std::uint32_t>(4 * thread_index(), thread_index());
      sync_threads();
      wrong += shared_load<std::uint32_t>(4 * (127 - thread_index())) != 127 - thread_index();
      sync_threads();
      shared_store<std::uint32_t>(4 * (127 - thread_index()), 0);
    });
    EXPECT_EQ(wrong, 0);
  }
  Machine::instance().order_seed = 0;
}

TEST(Emulator, NamedBarriersOrderProducersAndConsumers) {
  int sum = 0;
  run(96, 128, [&] {
    if (warp_index() == 0) {
      shared_store<std::uint32_t>(4 * lane_index(), 3);
      barrier_arrive(5, 96);                                 // goes on
    } else {
      barrier_sync(5, 96);
      sum += static_cast<int>(shared_load<std::uint32_t>(4 * lane_index()));
    }
  });
  EXPECT_EQ(sum, 64 * 3);
}

TEST(Emulator, WarpsExchangeValues) {
  bool right = true;
  run(64, 0, [&] {
    const unsigned lane = lane_index();
    right &= shuffle(lane * 3, 31 - lane) == (31 - lane) * 3;
    right &= shuffle_xor(lane, 5) == (lane ^ 5);
    right &= shuffle_up(lane, 4) == (lane < 4 ? lane : lane - 4);
    right &= ballot(lane % 2 == 1) == 0xaaaaaaaau;
    right &= any(lane == 7) && !any(false) && all(true) && !all(lane != 7);
  });
  EXPECT_TRUE(right);
}

/// c + a b with fragments as the PTX ISA lays them out, from matrices in memory.
template <class T, class Multiply>
void expect_product(const Multiply& multiply) {
  float a[16][16], b[16][8], c[16][8], got[16][8];
  const auto random = random_vector<float>(16 * 16 + 2 * 16 * 8, "product");
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) a[i][k] = random[i * 16 + k];
    for (int j = 0; j < 8; ++j) b[i][j] = random[256 + i * 8 + j], c[i][j] = random[384 + i * 8 + j];
  }
  const auto pack = [](float low, float high) {
    return std::is_same_v<T, Bf16> ? pack_bf16(low, high) : pack_f16(low, high);
  };
  run(32, 0, [&] {
    const unsigned g = lane_index() / 4, t = lane_index() % 4 * 2;
    const std::uint32_t fa[4] = {pack(a[g][t], a[g][t + 1]), pack(a[g + 8][t], a[g + 8][t + 1]),
                                 pack(a[g][t + 8], a[g][t + 9]), pack(a[g + 8][t + 8], a[g + 8][t + 9])};
    float d[4] = {c[g][t], c[g][t + 1], c[g + 8][t], c[g + 8][t + 1]};
    multiply(d, fa, pack(b[t][g], b[t + 1][g]), pack(b[t + 8][g], b[t + 9][g]));
    got[g][t] = d[0], got[g][t + 1] = d[1], got[g + 8][t] = d[2], got[g + 8][t + 1] = d[3];
  });
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      double sum = c[i][j];
      for (int k = 0; k < 16; ++k) sum += double{a[i][k]} * b[k][j];
      EXPECT_NEAR(got[i][j], sum, 1e-5);
    }
  }
}

TEST(Emulator, MultipliesMatrices) {
  expect_product<Bf16>([](auto& c, auto& a, auto b0, auto b1) { mma_bf16(c, a, b0, b1); });
  expect_product<Half>([](auto& c, auto& a, auto b0, auto b1) { mma_f16(c, a, b0, b1); });
}

TEST(Emulator, LoadsMatricesInFragments) {
  run(32, 1024, [&] {
    for (unsigned i = 0; i < 16; ++i) {
      const unsigned place = lane_index() * 16 + i;
      shared_store<std::uint16_t>(2 * place, static_cast<std::uint16_t>(place));
    }
    sync_warp();
    std::uint32_t r[4], t[4];
    ldmatrix(r, lane_index() * 32);                          // matrix m: rows 8 m to 8 m + 7, channels 0 to 7
    ldmatrix_transposed(t, lane_index() * 32 + 16);
    for (unsigned m = 0; m < 4; ++m) {
      const unsigned row = m * 8 + lane_index() / 4, pair = lane_index() % 4 * 2;
      EXPECT_EQ(r[m], (row * 16 + pair) | (row * 16 + pair + 1) << 16);
      const unsigned channel = lane_index() / 4 + 8, key = m * 8 + pair;
      EXPECT_EQ(t[m], (key * 16 + channel) | ((key + 1) * 16 + channel) << 16);
    }
  });
}

TEST(Emulator, CountsBankConflictsOfMatrixLoads) {
  const auto conflicts = [](unsigned row_bytes, bool swizzled) {
    Machine::instance().counters = {};
    run(32, 8192, [&] {
      for (unsigned i = 0; i < 8192 / 512; ++i) shared_store<Vec4>(lane_index() * 16 + 512 * i, {});
      sync_warp();
      std::uint32_t r[4];
      ldmatrix(r, lane_index() * row_bytes + (swizzled ? lane_index() % 8 * 16 : 0));
    });
    return Machine::instance().counters.ldmatrix_conflicts;
  };
  EXPECT_EQ(conflicts(128, false), 4 * 7);
  EXPECT_EQ(conflicts(128, true), 0);
  EXPECT_EQ(conflicts(144, false), 0);
  EXPECT_EQ(conflicts(64, false), 4 * 3);
}

TEST(Emulator, CopiesLandWhenWaitedFor) {
  const DeviceBuffer<float> from(random_vector<float>(64, "copy"), "from");
  const auto host = from.download();
  run(32, 512, [&] {
    copy_async16(16 * lane_index(), from.data() + 4 * (lane_index() % 16), lane_index() < 16 ? 16 : 4);
    copy_async_commit();
    copy_async_wait<0>();
    EXPECT_EQ(shared_load<float>(16 * lane_index()), host[4 * (lane_index() % 16)]);
    EXPECT_EQ(shared_load<float>(16 * lane_index() + 12), lane_index() < 16 ? host[4 * lane_index() + 3] : 0);
  });
}

TEST(Emulator, RoundsToHalf) {
  EXPECT_EQ(pack_f16(1.0f, -2.0f), 0xc0003c00u);
  EXPECT_EQ(pack_f16(0.0f, 65519.0f), 0x7bff0000u);
  EXPECT_EQ(pack_f16(65520.0f, 0x1p-24f), 0x00017c00u);
  EXPECT_EQ(pack_f16(0x1p-14f, 1023 * 0x1p-24f), 0x03ff0400u);
  EXPECT_EQ(pack_f16(2049.0f, 2051.0f), 0x68026800u);        // ties to even
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) ASSERT_EQ(pack_f16(f16_to_float(bits), 0), bits);
  EXPECT_EQ(sub_f16x2(pack_f16(1029, 1024), pack_f16(1024, 1024)), pack_f16(5, 0));
  EXPECT_EQ(fma_f16x2(pack_f16(3, 2), pack_f16(0.5f, -1), pack_f16(1, 1)), pack_f16(2.5f, -1));
  EXPECT_EQ(byte_permute(0x33221100, 0x77665544, 0x5140), 0x55114400u);
}

// --- what it notices

#define EXPECT_NOTICED(text, ...) EXPECT_THAT([&] { __VA_ARGS__; }, ThrowsMessage<EmulatorError>(HasSubstr(text)))

void two_barriers() {
  if (warp_index() == 0) sync_threads();
  if (warp_index() == 1) sync_threads();
}

TEST(Emulator, NoticesDivergence) {
  EXPECT_NOTICED("threads diverge", run(64, 0, two_barriers));
  EXPECT_NOTICED("64 threads (from 0) wait at barrier", run(96, 0, [] {
    if (warp_index() < 2) sync_threads();
  }));
  EXPECT_NOTICED("1 threads (from 3) have ended", run(32, 0, [] {
    if (lane_index() != 3) shuffle_xor(1, 1);
  }));
  EXPECT_NOTICED("threads diverge", run(32, 0, [] {
    if (lane_index() < 16) shuffle_xor(1, 1);
    else sync_warp();
  }));
  EXPECT_NOTICED("arrivals at a barrier", run(64, 0, [] { if (warp_index() == 0) barrier_arrive(1, 64); }));
}

TEST(Emulator, NoticesRaces) {
  EXPECT_NOTICED("races with a write", run(64, 4, [] {
    if (thread_index() == 0) shared_store<float>(0, 1);
    if (thread_index() == 63) shared_load<float>(0);
  }));
  EXPECT_NOTICED("races with a write", run(32, 4, [] {       // between the lanes of a warp as well
    if (lane_index() == 0) shared_store<float>(0, 1);
    if (lane_index() == 3) shared_load<float>(0);
  }));
  EXPECT_NOTICED("races with a write", run(32, 4, [] { shared_store<float>(0, 1); }));
  EXPECT_NOTICED("races with a read", run(64, 4, [] {
    if (thread_index() == 0) shared_store<float>(0, 1);
    sync_threads();
    if (thread_index() < 40) shared_load<float>(0);
    sync_warp();
    if (thread_index() == 63) shared_store<float>(0, 2);
  }));
  EXPECT_NOTICED("races with a read", run(64, 16, [] {       // a copy into what others still read
    if (thread_index() == 0) shared_store<float>(0, 1);
    sync_threads();
    if (thread_index() == 0) shared_load<float>(0);
    sync_warp();
    DeviceBuffer<float> from(std::vector<float>(4), "from");
    if (thread_index() == 63) copy_async16(0, from.data());
    copy_async_commit();
    copy_async_wait<0>();
  }));
}

TEST(Emulator, NoticesBadSharedMemory) {
  EXPECT_NOTICED("nobody has written it", run(32, 128, [] { shared_load<float>(4 * lane_index()); }));
  EXPECT_NOTICED("outside the block's 128", run(32, 128, [] { shared_store<float>(4 * lane_index() + 4, 0); }));
  EXPECT_NOTICED("is not aligned", run(32, 1024, [] { shared_store<Vec4>(16 * lane_index() + 8, {}); }));
  EXPECT_NOTICED("has not landed", run(32, 512, [] {
    
    DeviceBuffer<float> from(std::vector<float>(128), "from");
    copy_async16(16 * lane_index(), from.data());
    copy_async_commit();
    shared_load<float>(16 * lane_index());
  }));
  EXPECT_NOTICED("did not wait for", run(32, 512, [] {
    DeviceBuffer<float> from(std::vector<float>(128), "from");
    copy_async16(16 * lane_index(), from.data());
    copy_async_commit();
  }));
}

TEST(Emulator, NoticesBadGlobalMemory) {
  const DeviceBuffer<float> in(std::vector<float>(10), "weights");
  const DeviceBuffer<float> out(10, "out");
  EXPECT_NOTICED("at byte 40 of buffer 'weights'", run(32, 0, [&] { global_load(in.data() + lane_index()); }));
  EXPECT_NOTICED("to the input 'weights'", run(32, 0, [&] { global_store(in.data(), 1); }));
  EXPECT_NOTICED("is not aligned", run(32, 0, [&] {
    global_load(reinterpret_cast<const Vec4*>(out.data() + 1));
  }));
  EXPECT_NOTICED("at byte 32", run(32, 0, [&] { global_load(reinterpret_cast<const Vec4*>(out.data() + 8)); }));
  EXPECT_NOTICED("buffer", run(32, 0, [&] { global_load(out.data() + 1000); }));
}

TEST(Emulator, GoesOnAfterAnError) {
  EXPECT_THROW(run(64, 0, [] { if (thread_index() == 40) throw EmulatorError("stop"); else sync_threads(); }),
               EmulatorError);
  int count = 0;
  run(64, 0, [&] {
    sync_threads();
    ++count;
  });
  EXPECT_EQ(count, 64);
}

}  // namespace
}  // namespace orrery::gpu_emulated
