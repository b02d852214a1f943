/// Mixture of experts: each token goes to its top_k experts, rows are gathered by expert, each expert multiplies its
/// own, and the results are added back with the router's weights.
///
///   route_top_k(RouteArgs<float>{logits, ids, weights, tokens, 8, 2});          // softmax over the chosen
///   Routing r = group_by_expert({ids, tokens * 2}, 8);                          // r.offsets: rows of each expert
///   grouped_gemm(GroupedGemmArgs<float>{.x = x, .w = w, .y = y, ...});
///   combine_experts(CombineArgs<float>{y, r.place, weights, out, tokens, top_k, n});
///
/// A token's result does not depend on the other tokens: products are dot products over the whole of k, and its experts
/// are added in the order in which they were chosen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/scalar.hpp"

namespace orrery {

template <class T>
struct RouteArgs {
  const T* logits = nullptr;            ///< (tokens, experts)
  std::int32_t* ids = nullptr;          ///< (tokens, top_k) out: experts, best first; the smaller number wins a tie
  Accum<T>* weights = nullptr;          ///< (tokens, top_k) out: softmax over the chosen, sum 1
  std::int64_t tokens = 0;
  std::int32_t experts = 0, top_k = 0;
};
template <class T>
void route_top_k(const RouteArgs<T>& args);

/// Assignments (token, slot), numbered token * top_k + slot, sorted by expert and within one by number.
struct Routing {
  std::vector<std::int32_t> offsets;    ///< (experts + 1): rows of expert e are [offsets[e], offsets[e + 1])
  std::vector<std::int32_t> source;     ///< (assignments): which assignment is at a row
  std::vector<std::int32_t> place;      ///< (assignments): at which row an assignment is

  std::int32_t count(std::int32_t expert) const { return offsets[expert + 1] - offsets[expert]; }
};
Routing group_by_expert(std::span<const std::int32_t> ids, std::int32_t experts);

template <class T>
struct GroupedGemmArgs {
  const T* x = nullptr;                 ///< rows of length k: row source[r] / top_k if gathered, else r
  const T* w = nullptr;                 ///< (experts, n, k)
  T* y = nullptr;                       ///< (assignments, n), in the order of the experts
  const std::int32_t* offsets = nullptr;///< (experts + 1)
  const std::int32_t* source = nullptr; ///< (assignments), or null: x is in the order of the experts already
  std::int32_t experts = 0, top_k = 1;
  std::int64_t n = 0, k = 0;
};
template <class T>
void grouped_gemm(const GroupedGemmArgs<T>& args);

template <class T>
struct CombineArgs {
  const T* y = nullptr;                 ///< (assignments, n)
  const std::int32_t* place = nullptr;  ///< (assignments)
  const Accum<T>* weights = nullptr;    ///< (tokens, top_k)
  T* out = nullptr;                     ///< (tokens, n)
  std::int64_t tokens = 0;
  std::int32_t top_k = 0;
  std::int64_t n = 0;
};
template <class T>
void combine_experts(const CombineArgs<T>& args);

}  // namespace orrery
