#include "kernels/engine/weights.hpp"

#include <cmath>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// Tensors are numbered in the order in which they are made; the number is part of every value.
template <class T>
class Maker {
 public:
  explicit Maker(std::uint64_t seed) : seed_(seed) {}

  std::vector<T> matrix(std::int64_t rows, std::int64_t columns) {
    const double width =
        std::sqrt(12.0 / static_cast<double>(columns));  // of a uniform variable of variance 1 / columns
    return make(rows * columns, 0, width);
  }
  std::vector<T> norm(std::int64_t n) { return make(n, 1, 0.2); }

 private:
  std::vector<T> make(std::int64_t n, double centre, double width) {
    Rng rng(seed_, Purpose::kWeights, next_++);
    std::vector<T> x(static_cast<std::size_t>(n));
    for (T& v : x) v = to<T>(static_cast<Accum<T>>(static_cast<float>(centre + width * (rng.uniform() - 0.5))));
    return x;
  }

  std::uint64_t seed_, next_ = 0;
};

}  // namespace

template <class T>
Weights<T>::Weights(const DecoderShape& s, std::uint64_t seed) {
  Maker<T> make(seed);
  embedding = make.matrix(s.vocab, s.hidden);
  for (std::int32_t l = 0; l < s.layers; ++l) {
    LayerWeights<T>& w = layers.emplace_back();
    w.attention_norm = make.norm(s.hidden);
    w.qkv = make.matrix(s.qkv(), s.hidden);
    w.out = make.matrix(s.hidden, static_cast<std::int64_t>(s.heads) * s.head_dim);
    w.ffn_norm = make.norm(s.hidden);
    w.router = make.matrix(s.experts, s.hidden);
    w.gate_up = make.matrix(2ll * s.copies() * s.ffn, s.hidden);
    w.down = make.matrix(static_cast<std::int64_t>(s.copies()) * s.hidden, s.ffn);
  }
  final_norm = make.norm(s.hidden);
  head = make.matrix(s.vocab, s.hidden);
}

template struct Weights<float>;
template struct Weights<Bf16>;
template struct Weights<double>;

}  // namespace orrery
