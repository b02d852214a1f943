#include "sim/metrics/ttft_parts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace orrery {

/// Eighth i of an octave begins at base << shift.
TtftParts::Octave& TtftParts::open(std::size_t octave) {
  octaves_[octave] = std::make_unique<Octave>();
  const std::size_t shift = octave > 1 ? octave - 1 : 0;
  for (std::size_t i = 0; i < kEighths; ++i) {
    const auto base = static_cast<Wide>(octave == 0 ? i : i + kEighths);
    Sums& s = (*octaves_[octave])[i];
    s.low = static_cast<std::int64_t>(base << shift);
    s.high = static_cast<std::int64_t>(
        std::min<Wide>((base + 1) << shift, std::numeric_limits<std::int64_t>::max()));
  }
  return *octaves_[octave];
}

void TtftParts::merge(const TtftParts& other) {
  for (std::size_t o = 0; o < kOctaves; ++o) {
    if (other.octaves_[o] == nullptr) continue;
    for (const Sums& from : *other.octaves_[o]) {
      Sums& to = group(from.low);
      to.count += from.count;
      to.computed += from.computed;
      to.total += from.total;
      to.waiting += from.waiting;
      to.retries += from.retries;
      to.load += from.load;
      to.set_back += from.set_back;
    }
  }
}

TtftParts::Sums TtftParts::around(double percentile) const {
  std::int64_t count = 0, below = 0;
  for (const auto& octave : octaves_)
    for (std::size_t i = 0; octave != nullptr && i < kEighths; ++i) count += (*octave)[i].count;
  const auto rank = static_cast<std::int64_t>(std::ceil(percentile / 100 * static_cast<double>(count)));
  for (const auto& octave : octaves_) {
    if (octave == nullptr) continue;
    for (const Sums& s : *octave) {
      below += s.count;
      if (s.count > 0 && below >= rank) return s;
    }
  }
  return {};
}

}  // namespace orrery
