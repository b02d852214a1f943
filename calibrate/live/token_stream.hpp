/// The tokens of a call, without a tokeniser: token j of segment s is hash(s, j), so equal segments are equal tokens
/// wherever they stand, and the answer of one turn is the same text in the prompt of the next.
///
///   append_tokens(paths.path(call), 128, 16, vocabulary, tokens);      // tokens 128 to 143 of prompt and answer
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/request.hpp"

namespace orrery {

inline void append_tokens(std::span<const Segment> path, std::int64_t from, std::int64_t count, std::int32_t vocabulary,
                          std::vector<std::int32_t>& out) {
  for (const Segment& s : path) {
    const std::int64_t length = s.tokens.value();
    for (; from < length && count > 0; ++from, --count) {
      const std::uint64_t token = hash_combine(s.key, static_cast<std::uint64_t>(from));
      out.push_back(static_cast<std::int32_t>(token % static_cast<std::uint64_t>(vocabulary)));
    }
    if (count == 0) return;
    from -= length;
  }
  throw std::out_of_range("tokens beyond the end of a call");
}

}  // namespace orrery
