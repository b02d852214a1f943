/// Time and energy of a step at a lower clock: what a power cap does to a cost model.
///
///   ClockLaw law = clock_law(load_hardware("a100-80g", {}));          // clocks, exponent, idle power, with source
///   ClockedCost capped(model, station_power(hardware, 8), law, law.at(1110));
///   capped.price(...);                                                 // as model.price, at 1110 MHz
///
/// POLCA (ASPLOS'24): a device at clock f instead of f0 draws P = P_idle + (P_phase - P_idle) (f/f0)^g, P_phase being
/// what the step draws at f0, and takes t = max(t_mem, t_comp f0/f) + c. Here c is the step's host time; the rest of
/// the step is t_comp or t_mem, whichever is larger at f0, and the other is shorter by the ratio of FLOPs over the peak
/// rate to bytes over the bandwidth. So a prompt slows down with the clock, and decoding only once its arithmetic
/// shows. Where the base counts no work, prompts are taken to be bound by arithmetic and decodes by memory.
///
/// At run time integers only: powers of the clock ratio are baked in 2^-20 with sim/base/math.hpp. A decode run stays
/// affine and exact: the line of its piece, taken at context 0, is scaled once, and so is its slope, so it does not
/// matter at which iteration it is asked for. Where a decode step is between the two bounds `valid` is 1. At full clock
/// the base's price is returned as it is. price(): base's plus about 10 ns. The base must outlive the wrapper.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/hardware.hpp"
#include "sim/cost.hpp"

namespace orrery {

/// The clocks of a device, and how power follows them.
struct ClockLaw {
  std::vector<int> mhz;  ///< descending; the first is full speed
  double exponent = 1;   ///< g
  double idle_w = 0;     ///< of one device, the part that no clock changes
  std::string source;

  /// Position of a clock in `mhz`; throws ConfigError with the clocks there are.
  std::size_t at(int megahertz) const;
  /// Power at a clock over power at full clock, for a device that draws `full_w` there.
  double power_ratio(std::size_t clock, double full_w) const;
};

/// From the device's file (`clocks`); throws ConfigError where there is none.
ClockLaw clock_law(const Hardware& hardware);

/// What a station of `devices` devices can do and draws at least.
struct StationPower {
  double flops_per_s = 0, bytes_per_s = 0, idle_w = 0;
};

StationPower station_power(const Hardware& hardware, const ClockLaw& law, int devices);

class ClockedCost final : public CostModel {
 public:
  ClockedCost(const CostModel& base, const StationPower& station, const ClockLaw& law, std::size_t clock);
  StepRun price(std::span<const StepShape> members, int stage) const override;
  Duration hop(Tokens tokens) const override { return base_->hop(tokens); }
  int stages() const override { return base_->stages(); }

 private:
  static constexpr std::int64_t kOne = 1 << 20;
  /// How a step is bound at this clock.
  enum class Bound : unsigned char { kMemory, kBetween, kCompute };
  Bound bound(std::int64_t flops, std::int64_t bytes, bool prompt) const;
  std::int64_t energy_kept(std::int64_t nanojoules, std::int64_t picoseconds) const;
  void slow_one(StepRun& run, bool prompt) const;

  const CostModel* base_;
  std::int64_t slowdown_ = kOne, power_ = kOne;  ///< f0/f and (f/f0)^g, in 2^-20
  std::int64_t balance_ = 0;                     ///< FLOPs a byte at which both bounds meet at f0, in 2^-20
  std::int64_t idle_mw_ = 0;
};

}  // namespace orrery
