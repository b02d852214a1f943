/// /power and /signals of a run, checked and made: rows of servers with their clocks, prices and carbon over time.
///
///   check_power(assembly, errors);                      // at load: devices without clocks, budgets nobody can keep
///   PowerRows rows(assembly, watch, parts);             // owns what parts.power and parts.tariff point to
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "experiments/assembly.hpp"
#include "hwmodels/power.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/simulation.hpp"

namespace orrery {

/// Signals as the engine takes them, and /power with the policies' defaults for config.json.
void assemble_power(Assembly& a, const std::string& executor, ErrorList& errors);

/// The rows of one run. `parts` has its stations already.
class PowerRows {
 public:
  PowerRows(const Assembly& a, const Watch& watch, SimulationParts& parts);
  const TariffParts& tariff() const { return tariff_; }   ///< empty without signals

 private:
  struct Clocked {                     ///< of a base price and a clock; stations share it
    const CostModel* base;
    int megahertz;
    std::unique_ptr<ClockedCost> cost;
    std::unique_ptr<ModelExecutor> executor;
  };
  void add_domain(const Assembly& a, std::size_t index, SimulationParts& parts);
  ClockParts at_clock(const CostModel& base, const DeploymentParts& d, std::int64_t devices, int megahertz);

  PowerParts power_;
  TariffParts tariff_;
  std::vector<std::unique_ptr<PowerPolicy>> policies_;
  std::deque<Clocked> clocked_;
  std::deque<StepSignal> price_;       ///< of the devices of an instance
  StepSignal carbon_;
};

}  // namespace orrery
