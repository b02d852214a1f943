#include <algorithm>
#include <cmath>

#include "kernels/gpu_session/baseline.hpp"
#include "kernels/gpu_session/session.hpp"
#include "kernels/grouped_gemm/grouped_gemm_gpu.hpp"
#include "sim/base/rng.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr int kExperts = 8, kTopK = 2;

/// The experts of each token: in turn, or drawn with chances i^-skew, two different ones.
std::vector<std::int32_t> draw_experts(std::int64_t tokens, double skew) {
  std::vector<std::int32_t> ids;
  Rng rng(1, Purpose::kFuzz, static_cast<std::uint64_t>(tokens));
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::size_t first = ids.size();
    while (ids.size() < first + kTopK) {
      std::int32_t e =
          static_cast<std::int32_t>((kTopK * t + static_cast<std::int64_t>(ids.size() - first)) % kExperts);
      if (skew > 0) {
        double all = 0;
        for (int i = 1; i <= kExperts; ++i) all += std::pow(i, -skew);
        double left = rng.uniform() * all;
        for (e = 0; e < kExperts - 1 && (left -= std::pow(e + 1, -skew)) > 0;) ++e;
      }
      if (std::find(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end(), e) == ids.end()) ids.push_back(e);
    }
  }
  return ids;
}

/// The first of an expert's two products (gate and up), gathered.
struct Mixture {
  std::int64_t n, k;
  DeviceBuffer<Bf16> w;
  Mixture(std::int64_t outputs, std::int64_t inner)
      : n(outputs), k(inner), w(random_buffer(kExperts * outputs * inner, 1, 0.05)) {}
};

Timing measure_mixture(Session& s, const Mixture& mixture, std::int64_t tokens, double skew, double other_seconds,
                       const char* other) {
  const std::int64_t n = mixture.n, k = mixture.k, rows = tokens * kTopK;
  const std::vector<std::int32_t> ids = draw_experts(tokens, skew);
  const Routing routing = orrery::group_by_expert(ids, kExperts);
  const DeviceBuffer<std::int32_t> offsets(routing.offsets, "offsets"), source(routing.source, "source");
  const auto x = random_buffer(tokens * k, 2);
  DeviceBuffer<Bf16> y(rows * n, "y");
  const Timing t = s.time(1, [&](int, Stream stream) {
    grouped_gemm({.x = x.data(),
                  .w = mixture.w.data(),
                  .y = y.data(),
                  .offsets = offsets.data(),
                  .source = source.data(),
                  .experts = kExperts,
                  .top_k = kTopK,
                  .n = n,
                  .k = k},
                 rows, s.processors(), stream);
  });
  int touched = 0;
  for (int e = 0; e < kExperts; ++e) touched += routing.count(e) > 0;
  Result r{.name = skew > 0 ? "grouped product, zipf 1.2" : "grouped product, balanced",
           .shape = std::to_string(tokens) + " tokens, 8 experts, top 2, n " + std::to_string(n) + ", k " +
                    std::to_string(k),
           .timing = t,
           .bytes = 2.0 * static_cast<double>(touched * n * k + tokens * k + rows * n),
           .flops = 2.0 * static_cast<double>(rows * n * k),
           .baseline = other,
           .baseline_seconds = other_seconds};
  if (tokens <= 64) s.add_memory_bound(r);
  else s.add(r);
  if (skew == 0 && device_generation() / 10 == 9) {              // the two implementations beside each other
    for (const GroupedKernel kernel : {GroupedKernel::kMma, GroupedKernel::kWarpgroups}) {
      r.name = kernel == GroupedKernel::kMma ? "grouped product, mma.sync" : "grouped product, warpgroups";
      r.timing = s.time(1, [&](int, Stream stream) {
        grouped_gemm({.x = x.data(),
                      .w = mixture.w.data(),
                      .y = y.data(),
                      .offsets = offsets.data(),
                      .source = source.data(),
                      .experts = kExperts,
                      .top_k = kTopK,
                      .n = n,
                      .k = k},
                     rows, s.processors(), stream, kernel);
      });
      s.add(r);
    }
  }
  return t;
}

/// As many rows for every expert, by the baseline, one after another.
double measure_apart(Session& s, Baseline& baseline, const Mixture& mixture, std::int64_t tokens) {
  const std::int64_t n = mixture.n, k = mixture.k, m = std::max<std::int64_t>(1, tokens * kTopK / kExperts);
  const auto x = random_buffer(m * kExperts * k, 3);
  DeviceBuffer<Bf16> y(m * kExperts * n, "y");
  std::vector<GemmArgs<Bf16>> args;
  for (int e = 0; e < kExperts; ++e) {
    args.push_back({.x = x.data() + e * m * k,
                    .w = mixture.w.data() + e * n * k,
                    .y = y.data() + e * m * n,
                    .m = m,
                    .n = n,
                    .k = k});
  }
  if (baseline.seconds(s, args) == 0) return 0;
  return s.time(1, [&](int, Stream stream) { for (const auto& a : args) baseline.run(a, stream); }).seconds;
}

}  // namespace

/// Mixtral 8x7B: 8 experts, two of them a token, gate and up of 14336 each.
void measure_experts(Session& s) {
  const auto baseline = make_baseline();
  const Mixture mixture(s.pick(28672, 136), s.pick(4096, 72));
  for (const std::int64_t tokens : {8, 64, 256, 1024, 4096, 16384}) {
    if (s.small() && tokens > 64) break;
    s.group("experts, " + std::to_string(tokens) + " tokens", [&] {
      const double apart = measure_apart(s, *baseline, mixture, tokens);
      const Timing balanced = measure_mixture(s, mixture, tokens, 0, apart, "cuBLASLt, an expert after the other");
      measure_mixture(s, mixture, tokens, 1.2, balanced.seconds, "balanced");
    });
  }
}

}  // namespace orrery::ORRERY_GPU
