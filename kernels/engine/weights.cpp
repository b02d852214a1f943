#include "kernels/engine/weights.hpp"

#include "kernels/engine/weight_stream.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

template <class T>
void draw(const WeightStream& s, std::uint64_t seed, std::uint64_t tensor, std::int64_t n, std::vector<T>& x) {
  Rng rng(seed, Purpose::kWeights, tensor);
  x.resize(static_cast<std::size_t>(n));
  for (T& v : x) v = to<T>(static_cast<Accum<T>>(static_cast<float>(s.centre + s.width * (rng.uniform() - 0.5))));
}

}  // namespace

template <class T>
Weights<T>::Weights(const DecoderShape& s, std::uint64_t seed) {
  std::uint64_t tensor = 0;   // its number is part of every value
  for_each_tensor(
      s, *this,
      [&](std::vector<T>& x, std::int64_t rows, std::int64_t columns) {
        draw(matrix_stream(seed, tensor, columns), seed, tensor, rows * columns, x);
        ++tensor;
      },
      [&](std::vector<T>& x, std::int64_t n) {
        draw(norm_stream(seed, tensor), seed, tensor, n, x);
        ++tensor;
      });
}

template struct Weights<float>;
template struct Weights<Bf16>;
template struct Weights<double>;

}  // namespace orrery
