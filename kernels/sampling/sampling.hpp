/// The next token of each row: the likeliest, or drawn from the top-k and top-p part of the distribution.
///
///   sample(SampleArgs<float>{.logits = logits, .vocab = 128256, .rows = 3, .params = params, .out = tokens});
///
/// Order: logits / temperature, then the top_k largest, then of these (renormalised) the fewest whose probability sums
/// to top_p, the one that reaches it included, then a draw. Equal logits rank by smaller token. The random number is a
/// function of (seed, sequence, position), so a sequence gets the same tokens in any batch and after a preemption.
#pragma once

#include <cstdint>

#include "kernels/common/scalar.hpp"
#include "sim/base/rng.hpp"

namespace orrery {

struct SampleParams {
  float temperature = 0;            ///< 0 = the likeliest token
  std::int32_t top_k = 0;           ///< 0 = all
  float top_p = 1;                  ///< in (0, 1]
  std::uint64_t seed = 0, sequence = 0;
  std::int64_t position = 0;        ///< of the token that is drawn
};

template <class T>
struct SampleArgs {
  const T* logits = nullptr;        ///< (rows, vocab)
  std::int64_t vocab = 0, rows = 0;
  const SampleParams* params = nullptr;   ///< (rows)
  std::int32_t* out = nullptr;      ///< (rows)
};

template <class T>
void sample(const SampleArgs<T>& args);

/// The uniform number in [0, 1) of a draw; the same on a device.
constexpr double sample_uniform(std::uint64_t seed, std::uint64_t sequence, std::int64_t position) {
  constexpr std::uint64_t kStream = 0x73616d706c696e67ull;   // keeps these draws apart from the simulator's
  const std::uint64_t key =
      hash_combine(hash_combine(mix64(seed ^ kStream), sequence), static_cast<std::uint64_t>(position));
  return static_cast<double>(key >> 11) * 0x1p-53;
}

}  // namespace orrery
