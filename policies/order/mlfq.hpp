/// Multi-level feedback queue with skip-join (FastServe: Wu et al., arXiv 2305.05920, section 4.1), as a queue order.
/// Level i has a quantum of quantum * 2^i tokens of work. A call joins at the first level whose quantum covers its
/// prompt (skip-join: its first iteration is as long as its prompt), and sinks as the tokens it has received use up
/// the quanta of the levels above. Against starvation, waiting `promote` makes up for one level (a static key;
/// FastServe promotes to the top after a limit).
/// It preempts: at a boundary between iterations, a call that decodes and has sunk below one that waits gives its place
/// to that one, if that finds none (no free place in the batch, or too few KV blocks), the last in the order first. How
/// it leaves is the KV policy's `preempt`: `swap` moves its KV to host memory, as in FastServe; `recompute` drops it.
/// It leaves in one step, the other comes in the next. Any batcher that decodes all that runs does so (decode_all in
/// policies/batching/steps.hpp); static, sequence-scheduling and s3 choose their batches by themselves, and there mlfq
/// only orders.
/// Not modelled: quanta in time (FastServe profiles iterations; here tokens are the work); KV of a preempted call that
/// stays on the device for as long as there is room; swapping ahead of need.
///
///   {"order": {"name": "mlfq", "quantum": 512, "levels": 6}, "kv": {"name": "paged", "preempt": "swap"}}
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
  bool preempts() const override { return true; }
  Tokens steady(const Call&, const Progress&) const override;

 private:
  struct Place { std::int64_t level; Tokens left; };   ///< tokens left until it sinks by a level
  Place place(const Call&, const Progress&) const;
  MlfqConfig config_;
};

}  // namespace orrery
