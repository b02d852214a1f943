/// Prompt chunks and decode rows in one launch (POD-attention, ASPLOS'25), so that the tiles that compute and the tiles
/// that read memory share the processors. The results are those of the two kernels apart, bit for bit.
///
///   LaunchPlan plan = plan_mixed(prefill_plan, decode_plan);
///   attention_mixed(MixedArgs<float>{prefill, decode, plan.tiles.data(), plan.tiles.size()});
#pragma once

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/attention_prefill/attention_prefill.hpp"

namespace orrery {

/// The tiles inside `prefill` and `decode` are not used.
template <class T>
struct MixedArgs {
  PrefillArgs<T> prefill;
  DecodeArgs<T> decode;                     ///< synchronised softmax
  const LaunchTile* tiles = nullptr;        ///< of plan_mixed: decode sequences are numbered after the chunks
  std::int64_t tile_count = 0;
};

template <class T>
void attention_mixed(const MixedArgs<T>& args);

}  // namespace orrery
