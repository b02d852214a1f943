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

/// The tensors of a layer, whatever holds their numbers: vectors, or device memory (gpu_weights.hpp).
template <class Tensor>
struct LayerTensors {
  Tensor attention_norm;                       ///< (hidden)
  Tensor qkv;                                  ///< (qkv, hidden): queries, keys, values
  Tensor out;                                  ///< (hidden, heads head_dim)
  Tensor ffn_norm;                             ///< (hidden)
  Tensor router;                               ///< (experts, hidden); empty if dense
  Tensor gate_up;                              ///< (experts or 1, 2 ffn, hidden)
  Tensor down;                                 ///< (experts or 1, hidden, ffn)
};

template <class Tensor>
struct WeightTensors {
  Tensor embedding;                            ///< (vocab, hidden)
  std::vector<LayerTensors<Tensor>> layers;
  Tensor final_norm;                           ///< (hidden)
  Tensor head;                                 ///< (vocab, hidden)
};

/// matrix(tensor, rows, columns) or norm(tensor, n) of every tensor, in the order that numbers them; layers are made.
template <class Tensor, class Matrix, class Norm>
void for_each_tensor(const DecoderShape& s, WeightTensors<Tensor>& w, const Matrix& matrix, const Norm& norm) {
  const std::int64_t hidden = s.hidden;
  w.layers.resize(static_cast<std::size_t>(s.layers));
  matrix(w.embedding, std::int64_t{s.vocab}, hidden);
  for (LayerTensors<Tensor>& l : w.layers) {
    norm(l.attention_norm, hidden);
    matrix(l.qkv, std::int64_t{s.qkv()}, hidden);
    matrix(l.out, hidden, std::int64_t{s.heads} * s.head_dim);
    norm(l.ffn_norm, hidden);
    matrix(l.router, std::int64_t{s.experts}, hidden);
    matrix(l.gate_up, 2ll * s.copies() * s.ffn, hidden);
    matrix(l.down, s.copies() * hidden, std::int64_t{s.ffn});
  }
  norm(w.final_norm, hidden);
  matrix(w.head, std::int64_t{s.vocab}, hidden);
}

template <class T>
using LayerWeights = LayerTensors<std::vector<T>>;

template <class T>
struct Weights : WeightTensors<std::vector<T>> {
  Weights() = default;                         ///< for who fills them from elsewhere
  Weights(const DecoderShape& shape, std::uint64_t seed);
};

}  // namespace orrery
