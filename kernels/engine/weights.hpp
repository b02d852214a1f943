/// A decoder of the Llama architecture, dense or mixture of experts, and its weights out of a counter: element i of a
/// tensor is a function of (seed, tensor, i), so any device makes the same ones without a file.
///
///   DecoderShape shape{.layers = 4, .hidden = 256, .heads = 8, .kv_heads = 2, .head_dim = 32, .ffn = 688,
///       .vocab = 1024};
///   Weights<float> weights(shape, 1);            // seed 1
///
/// Matrices are (out, in), uniform with variance 1 / in; norms are near 1. All values are the same numbers in every
/// format up to rounding.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/common/scalar.hpp"

namespace orrery {

struct DecoderShape {
  std::int32_t layers = 1, hidden = 64, heads = 2, kv_heads = 1, head_dim = 32, ffn = 128, vocab = 256;
  std::int32_t experts = 0, top_k = 0;         ///< 0 = dense
  std::int32_t max_positions = 4096;
  double rope_base = 500000, eps = 1e-5;

  std::int32_t qkv() const { return (heads + 2 * kv_heads) * head_dim; }
  std::int32_t copies() const { return experts > 0 ? experts : 1; }    ///< of the feed-forward matrices
};

template <class T>
struct LayerWeights {
  std::vector<T> attention_norm;               ///< (hidden)
  std::vector<T> qkv;                          ///< (qkv, hidden): queries, keys, values
  std::vector<T> out;                          ///< (hidden, heads head_dim)
  std::vector<T> ffn_norm;                     ///< (hidden)
  std::vector<T> router;                       ///< (experts, hidden); empty if dense
  std::vector<T> gate_up;                      ///< (experts or 1, 2 ffn, hidden)
  std::vector<T> down;                         ///< (experts or 1, hidden, ffn)
};

template <class T>
struct Weights {
  Weights() = default;                         ///< for who fills them from elsewhere
  Weights(const DecoderShape& shape, std::uint64_t seed);

  std::vector<T> embedding;                    ///< (vocab, hidden)
  std::vector<LayerWeights<T>> layers;
  std::vector<T> final_norm;                   ///< (hidden)
  std::vector<T> head;                         ///< (vocab, hidden)
};

}  // namespace orrery
