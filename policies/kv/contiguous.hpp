/// Contiguous KV, reserved at admission in one run of slots: what systems before PagedAttention did. The three variants
/// of Orca that the vLLM paper compares with (Kwon et al., SOSP'23, section 6.1) and Orca's own rule:
///   max       the model's maximum sequence length, 2048 there                          Orca (Max)
///   pow2      prompt + output rounded up to a power of two, at most max_length         Orca (Pow2)
///   oracle    prompt + output                                                          Orca (Oracle)
///   max-new   prompt + max_tokens, as the client asked                                 Orca, OSDI'22, Algorithm 1
/// pow2 and oracle take the output length from the length predictor (give them {"predictor": "oracle"} to repeat the
/// paper; without a prediction, max_tokens). With `buddy` every run is rounded up to 2^i slots: "we assume Orca uses
/// the buddy allocation algorithm" (same section). A prediction that proves too small doubles (`growth`) after a
/// recomputation or swap.
///
///   {"name": "contiguous", "reserve": "pow2"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct ContiguousConfig {
  enum class Reserve { kMax, kPow2, kOracle, kMaxNew } reserve = Reserve::kMax;
  Tokens max_length = 2048_tok;
  bool buddy = true;
  Leave preempt = Leave::kRecompute;
  double growth = 2;
};
void describe(Describer&, ContiguousConfig&);

class Contiguous final : public KvPolicy {
 public:
  using Config = ContiguousConfig;
  explicit Contiguous(ContiguousConfig config) : config_(config) {}
  bool contiguous() const override { return config_.buddy; }
  Tokens block_tokens() const override { return 1_tok; }
  Tokens reserve(const Call&, Tokens target, Tokens chunk) const override;
  Tokens regrow(const Call&, Tokens reserved) const override;
  Leave preempt(const Call&) const override { return config_.preempt; }

 private:
  ContiguousConfig config_;
};

}  // namespace orrery
