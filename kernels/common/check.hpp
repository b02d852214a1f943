/// Comparing a kernel's output with its reference.
///
///   fill_poison(out);  kernel(args);  EXPECT_LT(relative_error(out, reference), 1e-5);
///
/// The error is the Euclidean norm of the difference over that of the reference: what is left unwritten is poison (NaN)
/// and makes it NaN, which is below no bound.
#pragma once

#include <cmath>
#include <cstring>
#include <span>

#include "kernels/common/scalar.hpp"

namespace orrery {

template <class T, class R>
double relative_error(std::span<const T> out, std::span<const R> reference) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double r = from(reference[i]), d = from(out[i]) - r;
    difference += d * d;
    norm += r * r;
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

/// All bits one: a NaN in every format here.
template <class T>
void fill_poison(std::span<T> out) {
  std::memset(static_cast<void*>(out.data()), 0xff, out.size_bytes());
}

}  // namespace orrery
