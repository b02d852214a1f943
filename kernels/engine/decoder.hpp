/// One step of a Llama decoder over a batch of prompt chunks and decoding sequences, on the operators of kernels/.
///
///   Decoder<float> decoder(shape, weights);
///   Work work[] = {{.context = 0, .tokens = prompt, .blocks = pool.blocks_of(0)},
///                  {.context = 37, .tokens = {&last, 1}, .blocks = pool.blocks_of(1)}};
///   std::span<const float> logits = decoder.step(work, pool.memory());   // (work, vocab): after the last token of each
///
/// The block table of every sequence must have room for context + tokens. The CPU engine does not split KV,
/// so logits have the same bits whatever the batch, the chunks, the blocks, and whether a token's KV was computed by a
/// prompt or by a decode: preempted and recomputed, swapped, or shared sequences go on exactly as if nothing had
/// happened. Shapes that the kernels cannot do throw std::invalid_argument. The weights must outlive the decoder; the
/// logits live until the next step. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/engine/kv_memory.hpp"
#include "kernels/engine/step_layout.hpp"
#include "kernels/engine/weights.hpp"
#include "kernels/grouped_gemm/grouped_gemm.hpp"
#include "kernels/rope_append/rope_append.hpp"
#include "sim/base/launch_plan.hpp"

namespace orrery {

template <class T>
class Decoder {
 public:
  Decoder(const DecoderShape& shape, const Weights<T>& weights);

  std::span<const T> step(std::span<const Work> work, KvMemory<T>& memory);

  /// Of the last step's last layer, a row a token: the experts taken, (rows, top_k) best first, and what the router
  /// says of all of them, (rows, experts). For checks.
  std::span<const std::int32_t> experts() const { return expert_ids_; }
  std::span<const T> router_logits() const { return router_logits_; }

 private:
  void gather(std::span<const Work> work);
  void attention(std::int32_t layer, KvMemory<T>& memory);
  void head();
  void dense_ffn(const LayerWeights<T>& w);
  void expert_ffn(const LayerWeights<T>& w);

  DecoderShape shape_;
  const Weights<T>& weights_;
  RopeTable<Accum<T>> rope_;
  StepLayout batch_;
  LaunchPlan plan_, decode_plan_;
  std::int64_t rows_ = 0;
  // Activations, one row a token.
  std::vector<T> residual_, normed_, qkv_, attended_, projected_, gate_up_, gated_, expert_out_, last_, logits_;
  std::vector<T> router_logits_;
  std::vector<std::int32_t> expert_ids_;
  std::vector<Accum<T>> expert_weights_;
};

}  // namespace orrery
