#include "policies/kv/paged.hpp"

#include <algorithm>

#include "policies/kv/lengths.hpp"

namespace orrery {

using Reserve = PagedConfig::Reserve;

void describe(Describer& d, PagedConfig& c) {
  d.field("reserve", c.reserve,
          {{"on-demand", static_cast<int>(Reserve::kOnDemand)},
           {"per-chunk", static_cast<int>(Reserve::kPerChunk)},
           {"max-new", static_cast<int>(Reserve::kMaxNew)},
           {"no-evict", static_cast<int>(Reserve::kNoEvict)},
           {"predicted", static_cast<int>(Reserve::kPredicted)}},
          "What a call takes at admission");
  d.field("watermark", c.watermark, {0, 0.5}, "Fraction of all blocks that admissions leave free");
  d.field("preempt", c.preempt, kPreemptNames, "How a call gives way when blocks run out");
  d.field("growth", c.growth, {1, 16}, "predicted: factor by which a full reservation grows");
}

Tokens Paged::reserve(const Call& call, Tokens target, Tokens chunk) const {
  switch (config_.reserve) {
    case Reserve::kPerChunk: return chunk;
    case Reserve::kMaxNew: return std::max(most(call) - 1_tok, target);   // the last token's KV is never stored
    case Reserve::kPredicted: return std::max(expected(call), target);
    default: return target;
  }
}

Tokens Paged::promise(const Call& call, Tokens reserved) const {
  return config_.reserve == Reserve::kNoEvict ? std::max(most(call), reserved) : Tokens{};
}

Tokens Paged::regrow(const Call& call, Tokens reserved) const {
  return config_.reserve == Reserve::kPredicted ? grown(call, reserved, config_.growth) : Tokens{};
}

}  // namespace orrery
