/// Response-length perception and sequence scheduling (Zheng et al., NeurIPS'23; authors' code src/utils.py
/// `schedule`, src/generate.py `generate_group`). Request-level batches of calls with similar predicted lengths. Groups
/// of 256 calls, in order of arrival, are batched from short to long; a batch runs until its last call is done. With
/// variable batch size (vbs), lengths are rounded up to buckets of 50, whose batches hold 256, 128, 64, 32 or 16 calls
/// (50, 100, 150, 200, more), and a last batch that is less than half full (or below 16) moves up to the next bucket.
/// With failure collection and recomputation (fcr) a batch stops at its longest prediction (vbs: its bucket's bound);
/// calls not done by then start anew, together, at the end of the group.
///
/// Defaults: group 256, batch 16, bucket 50, vbs and fcr on. KV: contiguous, `max-new`. Predictor: any; its cost is the
/// extra pass of the perception prompt (bucket, width 100, accuracy 0.81 is the paper's Acc-100).
/// Modelled: the above, with padded prompts and rows. Not modelled: the length limit of the retry (512 there, the
/// client's max_tokens here). Groups assume first come first served.
///
///   {"batching": {"name": "sequence-scheduling", "fcr": false}, "predictor": "gaussian"}
#pragma once

#include <set>
#include <vector>

#include "policies/batching/variable_batch_size.hpp"
#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SequenceSchedulingConfig {
  int group = 256;
  int max_running = 16;
  Tokens bucket = 50_tok;
  bool vbs = true, fcr = true;
};
void describe(Describer&, SequenceSchedulingConfig&);

class SequenceScheduling final : public Batcher {
 public:
  using Config = SequenceSchedulingConfig;
  explicit SequenceScheduling(SequenceSchedulingConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;
  bool returns_whole_batch() const override { return true; }
  bool wants_events() const override { return true; }
  void on_event(const CallEvent&) override;

 private:
  std::vector<Sized> open_group(const StationView&, bool failed) const;
  Tokens bound(const StationView&) const;
  Tokens width() const { return config_.vbs ? config_.bucket : 1_tok; }
  SequenceSchedulingConfig config_;
  std::set<std::uint64_t> waiting_;   ///< numbers of the waiting calls
  std::uint64_t group_end_ = 0;       ///< the open group: calls with a number below this
};

}  // namespace orrery
