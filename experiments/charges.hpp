/// What requests are charged by (sim/engine/charges.hpp): the price of each instance and the grid's carbon, as the
/// config has them, and the results.
///
///   ChargePrices prices(assembly, power, parts);      // owns what parts.charges points to
///
/// The price of an instance: that of the signal that prices it; on priced nodes, the part of a node that it takes; else
/// that of its devices. What is charged is the time of its steps; idle time and empty nodes are nobody's.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "sim/engine/charges.hpp"
#include "sim/engine/outcome.hpp"

namespace orrery {

struct Assembly;
class PowerRows;
struct SimulationParts;

/// Are the requests of this run charged? A plain run is spared the time that it takes.
bool charges_requests(const Assembly& a);

class ChargePrices {
 public:
  /// `parts` has its stations, and its cluster if there is one.
  ChargePrices(const Assembly& a, const PowerRows& power, SimulationParts& parts);

 private:
  ChargeParts parts_;
  std::deque<StepSignal> prices_;
};

/// {"joules", "usd", "grams"}: those that are known.
Value charged(const Spend& spent, const ChargeResult& of);

/// replicas.csv:
///
///   replica,pool,present_s,busy_s,prompt_tokens,output_tokens,service,joules,step_joules,usd,step_usd,grams,step_grams
///
/// All that an instance spent, and what its steps did. `service` is prompt + 2 * output tokens (VTC, OSDI'24). What is
/// not known is empty.
void write_replicas(const std::string& path, const Outcome& outcome, const std::vector<std::string>& pool_of);

}  // namespace orrery
