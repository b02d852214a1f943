/// Attention of one query a sequence over its paged KV, split along the KV so that few sequences still fill a device
/// (FlashDecoding): each tile of the plan leaves a partial result (o, m, l), and merging rescales them to one maximum.
///
///   LaunchPlan plan = plan_decode({.contexts = lengths, .kv_heads = 8, .units = 1, .block = kKvBlock});
///   SplitSpace<float> space(plan, heads, 128);                          // memory of the partial results
///   attention_decode(DecodeArgs<float>{{.q = q, .out = out, ..., .tiles = plan.tiles.data(), ...}, kv});
///
/// Two modes. Synchronised: every split has its own maximum. Unified (FlashDecoding++, MLSys'24, section 3): all use
/// phi, chosen beforehand, so nothing is rescaled; a row with a score outside [phi + low, phi + high] is computed again
/// the synchronised way, and counted.
///
/// Batch invariance: with a plan of SplitRule::kFixedSize or kNone a row's bits depend on its own KV alone.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/common/paged_kv.hpp"
#include "kernels/common/scalar.hpp"
#include "sim/base/launch_plan.hpp"

namespace orrery {

enum class SoftmaxMode : std::uint8_t { kSynchronised, kUnified };

/// Partial results: row (offset[sequence] + split) * heads + head. exp(m) l is the weight of o / l in the whole.
template <class A>
struct Partials {
  A* o = nullptr;                          ///< (rows, head_dim), not divided by l
  A* m = nullptr;                          ///< (rows) maximum, -inf if no key was seen
  A* l = nullptr;                          ///< (rows) sum of exp(score - m)
  const std::int32_t* offset = nullptr;    ///< (batch + 1) splits of the sequences before
};

/// All but the KV; the same for every KV format.
template <class T>
struct DecodeRows {
  const T* q = nullptr;                    ///< (batch, heads, head_dim), rows q_stride apart
  T* out = nullptr;                        ///< (batch, heads, head_dim)
  const std::int32_t* kv_len = nullptr;    ///< (batch) keys of a row, its own included
  std::int32_t batch = 0, heads = 0, kv_heads = 1, head_dim = 64;
  std::int64_t q_stride = 0;               ///< 0 = dense
  Accum<T> scale = 1;                      ///< of q k, usually 1 / sqrt(head_dim)
  const LaunchTile* tiles = nullptr;       ///< blocks of kKvBlock tokens; sequence = row of the batch
  std::int64_t tile_count = 0;
  Partials<Accum<T>> partials;
  SoftmaxMode softmax = SoftmaxMode::kSynchronised;
  Accum<T> phi = 0, low = -30, high = 30;  ///< of kUnified, in scaled scores
  std::uint8_t* outside = nullptr;         ///< (batch, heads) of kUnified, out: 1 = computed again
};

template <class T>
struct DecodeArgs {
  DecodeRows<T> rows;
  PagedKv<T> kv;
};

/// The partial results of the tiles alone, for merging with others' (ring attention, KV on several devices).
template <class T>
void attention_partial(const DecodeArgs<T>& args);
/// out from the partial results.
template <class T>
void merge_partials(const DecodeRows<T>& rows);
/// Both, and in unified mode the second pass over rows that left the band.
template <class T>
void attention_decode(const DecodeArgs<T>& args);

/// Memory for the partial results of a plan, by whose owner it is freed.
template <class A>
class SplitSpace {
 public:
  SplitSpace(const LaunchPlan& plan, std::int32_t heads, std::int32_t head_dim) : offset_{0} {
    for (std::int32_t splits : plan.splits) offset_.push_back(offset_.back() + splits);
    const auto rows = static_cast<std::size_t>(offset_.back()) * static_cast<std::size_t>(heads);
    o_.resize(rows * static_cast<std::size_t>(head_dim));
    m_.resize(rows);
    l_.resize(rows);
    outside_.resize(plan.splits.size() * static_cast<std::size_t>(heads));
  }
  Partials<A> partials() { return {o_.data(), m_.data(), l_.data(), offset_.data()}; }
  std::uint8_t* outside() { return outside_.data(); }

 private:
  std::vector<std::int32_t> offset_;
  std::vector<A> o_, m_, l_;
  std::vector<std::uint8_t> outside_;
};

}  // namespace orrery
