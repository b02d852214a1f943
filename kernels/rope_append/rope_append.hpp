/// Rotary position embedding of queries and keys, fused with writing keys and values to their places in the paged pool.
///
///   RopeTable<float> rope(max_positions, 128, 500000.0);
///   rope_append(RopeAppendArgs<float>{.q = q, .k = k, .v = v, ..., .cosine = rope.cosine(), .sine = rope.sine()});
///
/// Channel c < d/2 is paired with c + d/2 (the layout of Llama checkpoints), turned by position * base^(-2c/d). A key
/// is rotated once, at its position, so cached prefixes can be shared by all who have the same tokens before them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/common/paged_kv.hpp"
#include "kernels/common/scalar.hpp"

namespace orrery {

/// Cosines and sines, (positions, head_dim / 2) each, computed in double and rounded once.
template <class A>
class RopeTable {
 public:
  RopeTable(std::int64_t positions, std::int32_t head_dim, double base);
  const A* cosine() const { return cosine_.data(); }
  const A* sine() const { return sine_.data(); }

 private:
  std::vector<A> cosine_, sine_;
};

template <class T>
struct RopeAppendArgs {
  T* q = nullptr;                          ///< (tokens, heads, head_dim), rows `stride` apart; rotated in place
  const T* k = nullptr;                    ///< (tokens, kv_heads, head_dim), rows `stride` apart
  const T* v = nullptr;                    ///< the same
  const std::int32_t* sequence = nullptr;  ///< (tokens) row of the block table
  const std::int32_t* position = nullptr;  ///< (tokens) place in the sequence
  PagedKv<T> kv;                           ///< written
  const Accum<T>* cosine = nullptr;        ///< (positions, head_dim / 2)
  const Accum<T>* sine = nullptr;
  std::int64_t tokens = 0;
  std::int32_t heads = 0;
  std::int64_t stride = 0;                 ///< elements from a token to the next, of q, k and v alike; 0 = each dense
};

template <class T>
void rope_append(const RopeAppendArgs<T>& args);

}  // namespace orrery
