/// Money and carbon over time: instance time times a price that changes, energy times the carbon intensity of the grid.
/// The meter is read whenever a signal changes; in between both are proportional to what was spent.
///
///   TariffParts parts;  parts.carbon = &grid;   parts.price = {&spot, &spot, nullptr};   // by station
///
/// Exact integers; the same with fast-forward on and off. O(stations) a change.
#pragma once

#include <span>
#include <vector>

#include "sim/engine/meter.hpp"
#include "sim/signal.hpp"

namespace orrery {

/// Nothing is owned.
struct TariffParts {
  std::vector<const StepSignal*> price;        ///< by station, 1e-9 USD an hour; null: the recorder knows; empty: all
  const StepSignal* carbon = nullptr;          ///< micrograms of CO2 a kWh; null: none
};

class Tariff {
 public:
  Tariff(TariffParts parts, const Meter& meter, std::size_t stations);
  Time next() const { return next_; }
  /// At next(): what was spent until now costs what held until now.
  void settle(Time now);
  /// The end of the run: steps that have not ended do not count, as in the rest of the result.
  void finish(Time end);
  double usd(std::size_t station) const;       ///< negative: no signal prices it
  const StepSignal* price(std::size_t station) const { return parts_.price[station]; }   ///< null: no signal
  double grams() const;
  double grams(std::size_t station) const;
  bool has_carbon() const { return parts_.carbon != nullptr; }

 private:
  struct Account {
    Wide energy = 0;                           ///< fJ, at the last settlement
    Duration present{};
    Wide usd = 0;                              ///< 1e-9 USD an hour, times ps
    Wide grams = 0;                            ///< ug/kWh times fJ
  };
  void charge(Time now, bool ended);

  TariffParts parts_;
  const Meter* meter_;
  std::vector<Account> accounts_;
  Time since_{}, next_ = kNever;
};

}  // namespace orrery
