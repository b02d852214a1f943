/// Rows of a matrix picked by number: the embedding of a step's tokens, and the hidden states of the rows whose logits
/// are wanted.
///
///   gather_rows(GatherArgs<float>{.from = embedding, .index = tokens, .out = hidden, .rows = n, .dim = 4096});
#pragma once

#include <cstdint>

#include "kernels/common/scalar.hpp"

namespace orrery {

template <class T>
struct GatherArgs {
  const T* from = nullptr;                 ///< (any, dim)
  const std::int32_t* index = nullptr;     ///< (rows) row of `from`
  T* out = nullptr;                        ///< (rows, dim)
  std::int64_t rows = 0, dim = 0;
};

template <class T>
void gather_rows(const GatherArgs<T>& args);

}  // namespace orrery
