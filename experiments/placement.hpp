/// /cluster/placement: pools that are searched for before the run, by the algorithms of DistServe
/// (policies/disaggregation/distserve_placement.hpp) with the simulator as their oracle.
///
///   {"cluster": {"placement": {"algorithm": "distserve-low", "gpus": 32, "gpus_per_node": 8}},
///    "slo": {"ttft_p90": "250ms", "tpot_p90": "100ms"}, ...}
///
/// A goodput is the largest rate of the workload's arrivals at which `attainment` of the requests keep both limits of
/// /slo (in the search of one phase alone, its limit; instances of the other phase are then a thousand times as fast).
/// It is found by bisection to 5 %; arrivals of each simulation last `simulated`, and are 300 at least, all with the
/// seed of the config. Shorter ones flatter decode instances: their batches and KV have not filled up when it is over.
#pragma once

#include <string>
#include <vector>

#include "experiments/document.hpp"
#include "sim/config/describe.hpp"
#include "sim/config/reader.hpp"

namespace orrery {

struct PlacementConfig {
  enum class Algorithm : std::uint8_t { kHigh, kLow } algorithm = Algorithm::kHigh;
  std::int64_t gpus = 8, gpus_per_node = 8;
  double rate = 0;               ///< requests a second; 0: as many as the devices can serve
  double attainment = 0.9;
  Duration simulated = std::chrono::seconds(120);
  double nvlink = 300e9;         ///< bytes a second of one device, each way, inside a node
};
void describe(Describer&, PlacementConfig&);

/// `document` with the pools that were found in place of /cluster/placement; as it is where there is none. `result`
/// receives what the summary says of it. Errors go to `errors`, and the key goes then, too.
Document place(Document document, const std::vector<std::string>& plugins, Value& result, ErrorList& errors);

}  // namespace orrery
