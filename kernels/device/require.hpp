/// What launch functions ask of their arguments.
///
///   require(a.dim % 8 == 0, "rmsnorm: dim: expected a multiple of 8");       // throws std::invalid_argument
#pragma once

#include <stdexcept>

namespace orrery {

inline void require(bool holds, const char* rule) {
  if (!holds) throw std::invalid_argument(rule);
}

}  // namespace orrery
