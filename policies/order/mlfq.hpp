/// Multi-level feedback queue with skip-join (FastServe: Wu et al., arXiv 2305.05920, section 4.1), as a queue order.
/// Level i has a quantum of quantum * 2^i tokens of work. A call joins at the first level whose quantum covers its
/// prompt (skip-join: its first iteration is as long as its prompt), and sinks as the tokens it has received use up
/// the quanta of the levels above. Against starvation, waiting `promote` makes up for one level (a static key;
/// FastServe promotes to the top after a limit).
/// Not modelled: FastServe preempts running calls at the end of a quantum; here the order is of calls that wait.
///
///   {"order": {"name": "mlfq", "quantum": 512, "levels": 6}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct MlfqConfig {
  Tokens quantum = 256_tok;
  int levels = 8;
  Duration promote = from_seconds(10);
};
void describe(Describer&, MlfqConfig&);

class Mlfq final : public QueueOrder {
 public:
  using Config = MlfqConfig;
  explicit Mlfq(MlfqConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;

 private:
  MlfqConfig config_;
};

}  // namespace orrery
