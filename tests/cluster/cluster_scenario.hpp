/// A cluster scenario as text: the lines of tests/twin/scenario.hpp, and what makes a cluster of it.
///
///   # Splitwise: the prompt goes to one machine, its KV to the other
///   engine  batching=vllm stations=2 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill
///   pool    prompt role=prefill kv_bytes=1000000 layers=10 network=1000000000
///   pool    token role=decode kv_bytes=1000000 layers=10 network=1000000000
///   policy  splitwise serialized_below=512
///   t=0ms   a prompt=1000 out=2
///   expect  a.station=0 a.decode=1 a.transfer=90ms
///   does    110ms engine copy prompt.0 a
///   never   engine turn back
///
/// pool NAME    count, role, kv_bytes (a token), layers, network (bytes/s), nodes (numbers, one an instance), serving,
///              tp, pp, max_running, weights (bytes), start_delay, keep_alive, min, priority, tier, on_nodes=1. Counts
///              add up to `stations`
/// link A B     bandwidth (bytes/s), latency; pools by name
/// server       gpus, dram, dram_bps, ssd_bps, network_bps: of the nodes in order
/// node NAME    devices; of the capacity trace: capacity TIME add|notice|gone NAME [deadline=TIME]
/// policy NAME  a cluster policy and its parameters; without one the engine line's router serves
/// event TIME fail|slow|network|restart   pool, which (numbers), link (pool), for, detect, start_delay, per_mille,
///              at_once
/// scale RULE   pool, min, max, every, lag, start_delay, and the rule's parameters
/// keep POOL    keep_alive, min, start_delay
/// power NAME   budget, draw, idle (watts), telemetry, cap_delay, brake_delay, low (pools), policy and its parameters.
/// clock MHZ    slower (per mille of the step's time), draw (watts): what a clock of the power policy does
/// expect       as there, for requests; and NAME.decode, .transfer, .migrations, .load, .waited (for room where it
///              decodes)
/// does         an action that happens, in the order of the lines: TIME WHO WHAT PLACE REQUEST VALUE for ESTIMATE, or
///              the beginning of it; PLACE is pool.number or -, REQUEST a name or -, ESTIMATE only where there is one
/// never        words that no action has: WHO WHAT PLACE ...
///
/// Errors throw std::invalid_argument with file:line.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace orrery {

struct ClusterScenario {
  std::string title, where;
  std::vector<std::string> base;                    ///< lines of the plain scenario, empty where others stood
  struct Line { int number; std::vector<std::string> words; };
  std::vector<Line> cluster, expect, does, never;
};

inline void PrintTo(const ClusterScenario& s, std::ostream* out) { *out << s.title; }

std::vector<ClusterScenario> read_cluster_scenarios(const std::string& path);
std::vector<ClusterScenario> parse_cluster_scenarios(const std::string& text, const std::string& name);
/// What does not happen as written, one a line; and what differs between the run stepped and fast-forwarded.
std::string failures(const ClusterScenario& scenario);

}  // namespace orrery
