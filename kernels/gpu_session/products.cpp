#include <algorithm>
#include <limits>
#include <memory>

#include "kernels/gemm/choice.hpp"
#include "kernels/gemm/gemm_gpu.hpp"
#include "kernels/gpu_session/baseline.hpp"
#include "kernels/gpu_session/session.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// A linear layer, with so many copies of its weights that they do not stay in the cache.
struct Layer {
  std::int64_t n, k;
  std::vector<DeviceBuffer<Bf16>> w;
  DeviceBuffer<Bf16> x, y;

  Layer(const Session& s, std::int64_t outputs, std::int64_t inner, std::int64_t most)
      : n(outputs), k(inner), x(random_buffer(most * inner, 1)), y(static_cast<std::size_t>(most * outputs), "y") {
    for (int i = 0; i < s.copies(2 * n * k); ++i) w.push_back(random_buffer(n * k, 10 + i));
  }
  std::vector<GemmArgs<Bf16>> rows(std::int64_t m) const {
    std::vector<GemmArgs<Bf16>> args;
    for (const auto& weights : w)
      args.push_back({.x = x.data(), .w = weights.data(), .y = y.data(), .m = m, .n = n, .k = k});
    return args;
  }
};

std::string shape_of(const GemmArgs<Bf16>& a) {
  return "m " + std::to_string(a.m) + ", n " + std::to_string(a.n) + ", k " + std::to_string(a.k);
}
Result result_of(const char* name, const GemmArgs<Bf16>& a, Timing t) {
  return {.name = name,
          .shape = shape_of(a),
          .timing = t,
          .bytes = 2.0 * static_cast<double>(a.n * a.k + a.m * (a.n + a.k)),
          .flops = 2.0 * static_cast<double>(a.m * a.n * a.k)};
}

/// Few rows: one at a time, flat, and the baseline; then the thresholds and what they lose at worst.
void measure_few(Session& s, Baseline& baseline, std::int64_t n, std::int64_t k) {
  const Layer layer(s, n, k, 64);
  GemmProfile profile;
  for (const std::int64_t m : {1, 2, 4, 8, 16, 24, 32, 48, 64}) {
    const auto args = layer.rows(m);
    const int copies = static_cast<int>(args.size());
    const double reference = baseline.seconds(s, args);
    const auto add = [&](Result r) {
      r.baseline = baseline.name();
      r.baseline_seconds = reference;
      s.add(r);
    };
    profile.m.push_back(m);
    profile.large.push_back(reference > 0 ? reference : kNever);
    profile.gemv.push_back(kNever);
    if (m <= 8) {
      const Timing t = s.time(copies, [&](int i, Stream stream) { gemm_gemv(args[i], stream); });
      profile.gemv.back() = t.seconds;
      add(result_of("gemv", args[0], t));
    }
    const FlatPlan plan = flat_plan(m, n, k, s.processors());
    DeviceBuffer<float> partials(plan.partials, "partials");
    DeviceBuffer<std::uint32_t> arrived(plan.tiles, "arrived");
    device_fill(arrived.data(), 0, plan.tiles * 4, nullptr);
    const Timing t = s.time(copies, [&](int i, Stream stream) {
      gemm_flat(args[i], plan, {partials.data(), arrived.data()}, stream);
    });
    profile.flat.push_back(t.seconds);
    add(result_of("flat product", args[0], t));
  }
  if (s.small()) return;
  const GemmThresholds thresholds = fit_thresholds(n, k, profile);
  s.add({.name = "choice of product: worst loss", .shape = "n " + std::to_string(n) + ", k " + std::to_string(k) +
         ", one row at a time below " + std::to_string(thresholds.gemv_below) + ", flat below " +
         std::to_string(thresholds.flat_below) + ", loses " + std::to_string(worst_regret(thresholds, profile))});
}

void measure_many(Session& s, Baseline& baseline, std::int64_t m, std::int64_t n, std::int64_t k) {
  const Layer layer(s, n, k, m);
  const auto args = layer.rows(m);
  const double seconds = baseline.seconds(s, args);
  if (seconds > 0) s.add(result_of(baseline.name(), args[0], {seconds, 0}));
}

}  // namespace

/// The four linear layers of Llama-3.1-8B, and what FlashDecoding++ measured (Llama-2-7B).
void measure_products(Session& s) {
  const std::unique_ptr<Baseline> baseline = make_baseline();
  if (s.small()) return measure_few(s, *baseline, 136, 72);
  const std::int64_t shapes[][2] = {{6144, 4096},  {4096, 4096},  {28672, 4096}, {4096, 14336},
                                    {12288, 4096}, {11008, 4096}, {4096, 11008}};
  for (const auto& shape : shapes) s.group("few rows", [&] { measure_few(s, *baseline, shape[0], shape[1]); });
  for (const std::int64_t m : {128, 256, 512, 1024, 4096})
    s.group("many rows", [&] { measure_many(s, *baseline, m, 4096, 4096); });
  s.group("many rows", [&] { measure_many(s, *baseline, 8192, 8192, 8192); });
}

}  // namespace orrery::ORRERY_GPU
