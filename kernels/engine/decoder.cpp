#include "kernels/engine/decoder.hpp"

#include <cmath>
#include <stdexcept>

#include "kernels/attention_mixed/attention_mixed.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/gather/gather_rows.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/rmsnorm/rmsnorm.hpp"
#include "kernels/swiglu/swiglu.hpp"

namespace orrery {
namespace {

/// y (rows, n) = x (rows, k) w^T, y resized.
template <class T>
void linear(const std::vector<T>& x, const std::vector<T>& w, std::int64_t rows, std::int64_t n, std::int64_t k,
            std::vector<T>& y) {
  y.resize(static_cast<std::size_t>(rows * n));
  gemm(GemmArgs<T>{.x = x.data(), .w = w.data(), .y = y.data(), .m = rows, .n = n, .k = k});
}

/// The shape, if the kernels can do it; std::invalid_argument names what they cannot.
const DecoderShape& checked(const DecoderShape& s) {
  const auto require = [](bool holds, const char* rule) {
    if (!holds) throw std::invalid_argument(rule);
  };
  require(s.layers > 0 && s.hidden > 0 && s.ffn > 0 && s.vocab > 0, "layers, hidden, ffn, vocab: expected at least 1");
  require(s.kv_heads > 0 && s.heads % s.kv_heads == 0, "heads: expected a multiple of kv_heads");
  require(s.heads / s.kv_heads <= kMaxRows, "heads: expected at most 64 per KV head");
  require(s.head_dim > 0 && s.head_dim % 2 == 0 && s.head_dim <= kMaxHeadDim,
          "head_dim: expected an even number, at most 256");
  require(s.experts == 0 || (s.top_k > 0 && s.top_k <= s.experts), "top_k: expected 1 to the number of experts");
  return s;
}

}  // namespace

template <class T>
Decoder<T>::Decoder(const DecoderShape& shape, const Weights<T>& weights)
    : shape_(checked(shape)), weights_(weights), rope_(shape.max_positions, shape.head_dim, shape.rope_base) {}

template <class T>
std::span<const T> Decoder<T>::step(std::span<const Work> work, KvMemory<T>& memory) {
  gather(work);
  const std::int64_t hidden = shape_.hidden;
  const auto eps = static_cast<Accum<T>>(shape_.eps);
  normed_.resize(residual_.size());
  projected_.clear();
  for (std::int32_t l = 0; l < shape_.layers; ++l) {
    const LayerWeights<T>& w = weights_.layers[l];
    // The first norm has nothing to add yet; the others add what the block before them projected.
    rmsnorm(RmsNormArgs<T>{.x = l ? projected_.data() : residual_.data(),
                           .residual = l ? residual_.data() : nullptr,
                           .weight = w.attention_norm.data(),
                           .out = normed_.data(),
                           .rows = rows_,
                           .dim = hidden,
                           .eps = eps});
    linear(normed_, w.qkv, rows_, shape_.qkv(), hidden, qkv_);
    attention(l, memory);
    linear(attended_, w.out, rows_, hidden, std::int64_t{shape_.heads} * shape_.head_dim, projected_);
    rmsnorm(RmsNormArgs<T>{.x = projected_.data(), .residual = residual_.data(), .weight = w.ffn_norm.data(),
                           .out = normed_.data(), .rows = rows_, .dim = hidden, .eps = eps});
    shape_.experts > 0 ? expert_ffn(w) : dense_ffn(w);
  }
  rmsnorm(RmsNormArgs<T>{.x = projected_.data(), .residual = residual_.data(), .weight = weights_.final_norm.data(),
                         .out = normed_.data(), .rows = rows_, .dim = hidden, .eps = eps});
  head();
  return logits_;
}

/// Logits of the items that want them, in their order.
template <class T>
void Decoder<T>::head() {
  const std::int64_t hidden = shape_.hidden, wanted = static_cast<std::int64_t>(batch_.last.size());
  last_.resize(static_cast<std::size_t>(wanted * hidden));
  gather_rows(GatherArgs<T>{normed_.data(), batch_.last.data(), last_.data(), wanted, hidden});
  linear(last_, weights_.head, wanted, shape_.vocab, hidden, logits_);
}

/// Puts the batch in order, looks its tokens up and plans its attention.
template <class T>
void Decoder<T>::gather(std::span<const Work> work) {
  batch_.fill(work);
  rows_ = batch_.rows();
  residual_.resize(static_cast<std::size_t>(rows_ * shape_.hidden));
  gather_rows(GatherArgs<T>{weights_.embedding.data(), batch_.tokens.data(), residual_.data(), rows_, shape_.hidden});
  decode_plan_ = plan_decode(
      {.contexts = batch_.length, .kv_heads = shape_.kv_heads, .block = kKvBlock, .rule = SplitRule::kNone});
  plan_ = plan_mixed(plan_prefill({.queries = batch_.queries, .contexts = batch_.context, .kv_heads = shape_.kv_heads,
                                   .block = kKvBlock}),
                     decode_plan_);
}

template <class T>
void Decoder<T>::attention(std::int32_t layer, KvMemory<T>& memory) {
  const std::int32_t d = shape_.head_dim, qkv = shape_.qkv();
  const std::int64_t width = std::int64_t{shape_.heads} * d, keys = std::int64_t{shape_.kv_heads} * d;
  T* const q = qkv_.data();
  rope_append(RopeAppendArgs<T>{.q = q,
                                .k = q + width,
                                .v = q + width + keys,
                                .sequence = batch_.sequence.data(),
                                .position = batch_.position.data(),
                                .kv = memory.layer(layer, batch_.table.data(), batch_.pages),
                                .cosine = rope_.cosine(),
                                .sine = rope_.sine(),
                                .tokens = rows_,
                                .heads = shape_.heads,
                                .stride = qkv});
  attended_.resize(static_cast<std::size_t>(rows_ * width));
  SplitSpace<Accum<T>> space(decode_plan_, shape_.heads, d);
  const std::int64_t first = batch_.q_offset.back();                       // decode rows follow the chunks
  const auto scale = static_cast<Accum<T>>(1 / std::sqrt(static_cast<double>(d)));
  MixedArgs<T> args;
  args.tiles = plan_.tiles.data();
  args.tile_count = static_cast<std::int64_t>(plan_.tiles.size());
  args.prefill = {.q = q,
                  .out = attended_.data(),
                  .q_offset = batch_.q_offset.data(),
                  .context = batch_.context.data(),
                  .kv = memory.layer(layer, batch_.table.data(), batch_.pages),
                  .sequences = batch_.chunks(),
                  .heads = shape_.heads,
                  .q_stride = qkv,
                  .scale = scale};
  args.decode.rows = {.q = q + first * qkv,
                      .out = attended_.data() + first * width,
                      .kv_len = batch_.length.data(),
                      .batch = batch_.decodes(),
                      .heads = shape_.heads,
                      .kv_heads = shape_.kv_heads,
                      .head_dim = d,
                      .q_stride = qkv,
                      .scale = scale,
                      .partials = space.partials()};
  args.decode.kv =
      memory.layer(layer, batch_.table.data() + std::int64_t{batch_.chunks()} * batch_.pages, batch_.pages);
  attention_mixed(args);
}

template <class T>
void Decoder<T>::dense_ffn(const LayerWeights<T>& w) {
  linear(normed_, w.gate_up, rows_, 2ll * shape_.ffn, shape_.hidden, gate_up_);
  gated_.resize(static_cast<std::size_t>(rows_ * shape_.ffn));
  swiglu(SwigluArgs<T>{gate_up_.data(), gated_.data(), rows_, shape_.ffn});
  linear(gated_, w.down, rows_, shape_.hidden, shape_.ffn, projected_);
}

template <class T>
void Decoder<T>::expert_ffn(const LayerWeights<T>& w) {
  const std::int64_t assignments = rows_ * shape_.top_k, ffn = shape_.ffn, hidden = shape_.hidden;
  linear(normed_, w.router, rows_, shape_.experts, hidden, router_logits_);
  expert_ids_.resize(static_cast<std::size_t>(assignments));
  expert_weights_.resize(expert_ids_.size());
  route_top_k(RouteArgs<T>{router_logits_.data(), expert_ids_.data(), expert_weights_.data(), rows_, shape_.experts,
                           shape_.top_k});
  const Routing routing = group_by_expert(expert_ids_, shape_.experts);
  gate_up_.resize(static_cast<std::size_t>(assignments * 2 * ffn));
  gated_.resize(static_cast<std::size_t>(assignments * ffn));
  expert_out_.resize(static_cast<std::size_t>(assignments * hidden));
  grouped_gemm(GroupedGemmArgs<T>{.x = normed_.data(),
                                  .w = w.gate_up.data(),
                                  .y = gate_up_.data(),
                                  .offsets = routing.offsets.data(),
                                  .source = routing.source.data(),
                                  .experts = shape_.experts,
                                  .top_k = shape_.top_k,
                                  .n = 2 * ffn,
                                  .k = hidden});
  swiglu(SwigluArgs<T>{gate_up_.data(), gated_.data(), assignments, ffn});
  grouped_gemm(GroupedGemmArgs<T>{.x = gated_.data(),
                                  .w = w.down.data(),
                                  .y = expert_out_.data(),
                                  .offsets = routing.offsets.data(),
                                  .experts = shape_.experts,
                                  .n = hidden,
                                  .k = ffn});
  projected_.resize(static_cast<std::size_t>(rows_ * hidden));
  combine_experts(CombineArgs<T>{expert_out_.data(), routing.place.data(), expert_weights_.data(), projected_.data(),
                                 rows_, shape_.top_k, hidden});
}

template class Decoder<float>;
template class Decoder<Bf16>;
template class Decoder<double>;

}  // namespace orrery
