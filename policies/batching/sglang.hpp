/// SGLang: prefill first, admission by expected length (Zheng et al., NeurIPS'24; srt/managers/scheduler.py,
/// schedule_policy.py `PrefillAdder`, schedule_batch.py `retract_decode`). While a waiting call fits, the step is
/// prompts alone (with `mixed_chunk`: prompts and decodes). It fits if its prompt and its max_new (at most 4096) fit
/// in what is free after `new_token_ratio` of the running calls' remaining max_new is set aside. The ratio falls from
/// 0.7 to 0.098 over 600 decode steps. When KV runs out, the call with the fewest output tokens (then the longest
/// prompt) is retracted, and the ratio starts again.
///
/// Defaults: chunked_prefill_size 8192, max_prefill_tokens 16384, max_running_requests 2048, ratio as above
/// (SGLANG_INIT_NEW_TOKEN_RATIO 0.7, _MIN_NEW_TOKEN_RATIO_FACTOR 0.14, _NEW_TOKEN_RATIO_DECAY_STEPS 600,
/// _CLIP_MAX_NEW_TOKENS_ESTIMATION 4096). KV: paged, `per-chunk`, no watermark; order: lpm with a radix cache.
/// Modelled: the above. Not modelled: after a retraction SGLang estimates the ratio from the running calls' progress,
/// here it returns to its start; the clip applies to the mean of the running calls; page alignment of chunks.
/// While the ratio holds a call back, the plan is asked every iteration (no fast-forward).
///
///   {"batching": {"name": "sglang", "mixed_chunk": true}, "order": "lpm"}
#pragma once

#include <algorithm>

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SglangConfig {
  Tokens chunk = 8192_tok;
  Tokens prefill_budget = 16384_tok;
  int max_running = 2048;
  bool mixed_chunk = false;
  double new_token_ratio = 0.7, min_ratio_factor = 0.14;
  int decay_steps = 600;
  Tokens clip_max_new = 4096_tok;
};
void describe(Describer&, SglangConfig&);

class Sglang final : public Batcher {
 public:
  using Config = SglangConfig;
  explicit Sglang(SglangConfig config);
  void plan(const StationView&, BatchPlan&) const override;
  bool cuts_prompts() const override { return true; }
  CallId victim(const StationView&, const BatchPlan&) const override;
  bool wants_events() const override { return true; }
  void on_event(const CallEvent& e) override { if (e.kind == CallEvent::kPreempted) ratio_ = first_; }
  void on_steps(std::int64_t iterations, const GroupView&) override {
    ratio_ = std::max(last_, ratio_ - decay_ * iterations);
  }

 private:
  void prefill(const StationView&, BatchPlan&, Tokens decoding) const;
  Tokens set_aside(const GroupView&) const;
  SglangConfig config_;
  std::int64_t first_, last_, decay_, ratio_;   ///< new_token_ratio in 2^-32, so that k steps at once are k steps
};

}  // namespace orrery
