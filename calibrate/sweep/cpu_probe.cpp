#include "calibrate/sweep/cpu_probe.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "calibrate/clock.hpp"
#include "kernels/common/simd.hpp"

namespace orrery {
namespace {

constexpr int kChains = 12;

/// Twelve independent chains of eight multiplications and additions keep the units busy: four a cycle at three cycles
/// latency each. Returns a number that depends on all.
template <class Isa>
KERNEL_INLINE float arithmetic(std::int64_t rounds) {
  using Eight = Lanes<float, Isa>;
  const float one[kLanes] = {1, 1, 1, 1, 1, 1, 1, 1},
              little[kLanes] = {1e-9F, 1e-9F, 1e-9F, 1e-9F, 1e-9F, 1e-9F, 1e-9F, 1e-9F};
  Eight sum[kChains], a, b;
  a.load(one);
  b.load(little);
  for (Eight& s : sum) s.load(one);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      for (int p = 0; p < Eight::kParts; ++p) sum[c].part[p] = sum[c].part[p] * a.part[p] + b.part[p];
    }
  }
  float total = 0;
  for (const Eight& s : sum) {
    float out[kLanes];
    s.store(out);
    total += sum_lanes(out);
  }
  return total;
}
KERNEL_AVX2 float arithmetic_avx2(std::int64_t rounds) { return arithmetic<IsaAvx2>(rounds); }

template <class Isa>
KERNEL_INLINE float reading(const float* x, std::int64_t n) {
  Lanes<float, Isa> sum[8];
#pragma GCC unroll 8
  for (auto& s : sum) s.clear();
  for (std::int64_t i = 0; i + 64 <= n; i += 64) {
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) {
      Lanes<float, Isa> v;
      v.load(x + i + 8 * c);
      for (int p = 0; p < Lanes<float, Isa>::kParts; ++p) sum[c].part[p] += v.part[p];
    }
  }
  float total = 0;
  for (const auto& s : sum) {
    float out[kLanes];
    s.store(out);
    total += sum_lanes(out);
  }
  return total;
}
KERNEL_AVX2 float reading_avx2(const float* x, std::int64_t n) { return reading<IsaAvx2>(x, n); }

volatile float sink;

template <class F>
double best_rate(double work, int tries, const F& run) {
  double best = 0;
  for (int i = 0; i < tries; ++i) {
    const double begin = thread_cpu_seconds();
    sink = run();
    best = std::max(best, work / std::max(1e-9, thread_cpu_seconds() - begin));
  }
  return best;
}

double bytes_per_second(std::size_t floats, int passes, int tries) {
  const std::vector<float> x(floats, 1.0F);
  return best_rate(4.0 * static_cast<double>(floats) * passes, tries, [&] {
    float total = 0;
    for (int p = 0; p < passes; ++p) {
      const auto n = static_cast<std::int64_t>(floats);
      total += use_avx2() ? reading_avx2(x.data(), n) : reading<IsaBase>(x.data(), n);
    }
    return total;
  });
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  std::string line, out;
  for (const std::string key : {"model name", "cpu family", "model\t", "stepping"}) {
    in.clear();
    in.seekg(0);
    while (std::getline(in, line)) {
      if (line.rfind(key, 0) != 0) continue;
      out += (out.empty() ? "" : " / ") + line.substr(std::min(line.size(), line.find(':') + 2));
      break;
    }
  }
  return out.empty() ? "unknown processor" : out;
}

std::int64_t cache_bytes(int name) { return std::max<std::int64_t>(0, ::sysconf(name)); }

}  // namespace

SpeedOfLight probe_cpu() {
  SpeedOfLight s{};
  constexpr std::int64_t kRounds = 500'000;
  s.flops_per_s = best_rate(2.0 * kLanes * kChains * kRounds, 20, [] {
    return use_avx2() ? arithmetic_avx2(kRounds) : arithmetic<IsaBase>(kRounds);
  });
  s.cache_bytes_per_s = bytes_per_second(2048, 2000, 10);
  const std::int64_t last = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
  s.cache_bytes = static_cast<double>(last > 0 ? last : std::int64_t{32} << 20);
  s.bytes_per_s = bytes_per_second(static_cast<std::size_t>(2 * s.cache_bytes) / 4, 1, 3);
  return s;
}

double cpu_memory_bytes() {
  return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

Value cpu_fingerprint() {
  utsname system{};
  ::uname(&system);
  Value v = Value::object();
  v["processor"] = cpu_name();
  v["processors"] = static_cast<std::int64_t>(::sysconf(_SC_NPROCESSORS_CONF));
  v["l1d_bytes"] = cache_bytes(_SC_LEVEL1_DCACHE_SIZE);
  v["l2_bytes"] = cache_bytes(_SC_LEVEL2_CACHE_SIZE);
  v["l3_bytes"] = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
  v["memory_bytes"] = cpu_memory_bytes();
  v["system"] = std::string(system.sysname) + " " + system.release + " " + system.machine;
  v["compiler"] = __VERSION__;
  v["instructions"] = use_avx2() ? "avx2" : "baseline";
  return v;
}

}  // namespace orrery
