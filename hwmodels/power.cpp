#include "hwmodels/power.hpp"

#include <algorithm>

#include "sim/base/math.hpp"

namespace orrery {
namespace {

using Wide = __int128;

/// a * b / c to the nearest, halves away from zero; c > 0.
std::int64_t scaled(std::int64_t a, std::int64_t b, std::int64_t c) {
  const Wide product = static_cast<Wide>(a) * b, half = c / 2;
  return static_cast<std::int64_t>(product >= 0 ? (product + half) / c : -((-product + half) / c));
}

}  // namespace

std::size_t ClockLaw::at(int megahertz) const {
  const auto found = std::find(mhz.begin(), mhz.end(), megahertz);
  if (found != mhz.end()) return static_cast<std::size_t>(found - mhz.begin());
  std::string known;
  for (const int m : mhz) known += (known.empty() ? "" : ", ") + std::to_string(m);
  throw ConfigError("clock " + std::to_string(megahertz) + " MHz: expected one of " + known);
}

double ClockLaw::power_ratio(std::size_t clock, double full_w) const {
  const double ratio = static_cast<double>(mhz[clock]) / mhz.front();
  const double kept = clock == 0 ? 1 : fast_exp2(exponent * fast_log2(ratio));
  return (idle_w + (full_w - idle_w) * kept) / full_w;
}

ClockLaw clock_law(const Hardware& hardware) {
  if (hardware.clocks.mhz.empty()) throw ConfigError("hardware \"" + hardware.name + "\": its clocks are not known");
  return {hardware.clocks.mhz, hardware.clocks.exponent, hardware.clocks.idle_fraction * hardware.specs.tdp_w,
          hardware.clocks.source};
}

StationPower station_power(const Hardware& hardware, const ClockLaw& law, int devices) {
  return {hardware.specs.flops_per_s * devices, hardware.specs.memory_bytes_per_s * devices, law.idle_w * devices};
}

ClockedCost::ClockedCost(const CostModel& base, const StationPower& station, const ClockLaw& law, std::size_t clock)
    : base_(&base),
      balance_(static_cast<std::int64_t>(station.flops_per_s / station.bytes_per_s * kOne + 0.5)),
      idle_mw_(static_cast<std::int64_t>(1e3 * station.idle_w + 0.5)) {
  if (clock == 0) return;
  const double ratio = static_cast<double>(law.mhz[clock]) / law.mhz.front();
  slowdown_ = static_cast<std::int64_t>(kOne / ratio + 0.5);
  power_ = static_cast<std::int64_t>(kOne * fast_exp2(law.exponent * fast_log2(ratio)) + 0.5);
}

/// t_comp / t_mem at full clock is (FLOPs / bytes) / balance: from 1 on arithmetic is the longer one at every clock,
/// and below f / f0 memory still is at this one.
ClockedCost::Bound ClockedCost::bound(std::int64_t flops, std::int64_t bytes, bool prompt) const {
  if (flops == 0 && bytes == 0) return prompt ? Bound::kCompute : Bound::kMemory;
  const Wide compute = static_cast<Wide>(flops) * kOne, memory = static_cast<Wide>(bytes) * balance_;
  if (compute >= memory) return Bound::kCompute;
  return compute * slowdown_ <= memory * kOne ? Bound::kMemory : Bound::kBetween;
}

/// Nanojoules of a stretch that drew `nanojoules` over `picoseconds`, its duration unchanged; linear in both.
std::int64_t ClockedCost::energy_kept(std::int64_t nanojoules, std::int64_t picoseconds) const {
  const std::int64_t idle = scaled(picoseconds, idle_mw_, 1'000'000);
  return idle + scaled(nanojoules - idle, power_, kOne);
}

/// One step, by the formulas.
void ClockedCost::slow_one(StepRun& run, bool prompt) const {
  const std::int64_t device = (run.first - run.host).count(), before = run.first.count();
  std::int64_t after = before;
  switch (bound(run.flops, run.bytes, prompt)) {
    case Bound::kMemory: break;
    case Bound::kCompute: after = run.host.count() + scaled(device, slowdown_, kOne); break;
    case Bound::kBetween: {
      const Wide compute = static_cast<Wide>(device) * run.flops / run.bytes * slowdown_ / balance_;
      after = run.host.count() + std::max<std::int64_t>(device, static_cast<std::int64_t>(compute));
      break;
    }
  }
  const std::int64_t kept = energy_kept(run.e_first.value(), before);
  run.e_first = Energy{before > 0 ? scaled(kept, after, before) : kept};
  run.first = Duration{after};
  run.step = Duration{}, run.e_step = Energy{};
  run.flops_step = run.bytes_step = 0;
  run.valid = 1;
}

StepRun ClockedCost::price(std::span<const StepShape> members, int stage) const {
  StepRun run = base_->price(members, stage);
  if (slowdown_ == kOne) return run;
  const StepShape& x = members[0];
  const std::int64_t n = x.decodes.value();
  const bool decodes_alone =
      members.size() == 1 && n > 0 && x.sequences == n && (x.host_in.value() | x.host_out.value()) == 0;
  const bool line = decodes_alone && run.step.count() % n == 0 && run.e_step.value() % n == 0 &&
                    bound(run.flops, run.bytes, false) == Bound::kMemory &&
                    bound(run.flops_step, run.bytes_step, false) == Bound::kMemory;
  if (!line) {
    slow_one(run, x.prefill.value() > 0);
    return run;
  }
  // Memory is the bound from here on (FLOPs over bytes stays between the two ratios): time as it was, energy less.
  const std::int64_t context = x.decode_context.value(), slope = run.step.count() / n,
                     energy_slope = run.e_step.value() / n;
  const std::int64_t base_time = run.first.count() - context * slope,
                     base_energy = run.e_first.value() - context * energy_slope;
  const std::int64_t kept = energy_kept(base_energy, base_time), kept_slope = energy_kept(energy_slope, slope);
  run.e_first = Energy{kept + context * kept_slope};
  run.e_step = Energy{n * kept_slope};
  return run;
}

}  // namespace orrery
