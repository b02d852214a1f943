#include "kernels/grouped_gemm/grouped_gemm.hpp"

#include <cmath>

#include "kernels/gemm/block.hpp"

namespace orrery {

template <class T>
void route_top_k(const RouteArgs<T>& a) {
  using A = Accum<T>;
  for (std::int64_t t = 0; t < a.tokens; ++t) {
    const T* logits = a.logits + t * a.experts;
    std::int32_t* ids = a.ids + t * a.top_k;
    A* weights = a.weights + t * a.top_k;
    for (std::int32_t i = 0; i < a.top_k; ++i) {
      std::int32_t best = -1;
      for (std::int32_t e = 0; e < a.experts; ++e) {
        const bool taken = std::find(ids, ids + i, e) != ids + i;
        if (!taken && (best < 0 || from(logits[e]) > from(logits[best]))) best = e;
      }
      ids[i] = best;
    }
    A sum = 0;
    for (std::int32_t i = 0; i < a.top_k; ++i)
      sum += weights[i] = std::exp(from(logits[ids[i]]) - from(logits[ids[0]]));
    for (std::int32_t i = 0; i < a.top_k; ++i) weights[i] /= sum;
  }
}

template <class T>
void grouped_gemm(const GroupedGemmArgs<T>& a) {
  for (std::int32_t e = 0; e < a.experts; ++e) {
    const std::int64_t first = a.offsets[e], rows = a.offsets[e + 1] - first;
    if (rows == 0) continue;                                      // its weights are not touched
    gemm_rows<T>(
        [&](std::int64_t i) { return a.x + (a.source ? a.source[first + i] / a.top_k : first + i) * a.k; }, rows,
        a.w + e * a.n * a.k, a.n, a.k, 48,
        [&](std::int64_t i, std::int64_t j, Accum<T> sum) { a.y[(first + i) * a.n + j] = to<T>(sum); });
  }
}

template <class T>
void combine_experts(const CombineArgs<T>& a) {
  std::vector<Accum<T>> sum(static_cast<std::size_t>(a.n));
  for (std::int64_t t = 0; t < a.tokens; ++t) {
    std::fill(sum.begin(), sum.end(), Accum<T>{});
    for (std::int32_t i = 0; i < a.top_k; ++i) {
      const T* y = a.y + a.place[t * a.top_k + i] * a.n;
      const Accum<T> weight = a.weights[t * a.top_k + i];
      for (std::int64_t j = 0; j < a.n; ++j) sum[j] += weight * from(y[j]);
    }
    for (std::int64_t j = 0; j < a.n; ++j) a.out[t * a.n + j] = to<T>(sum[j]);
  }
}

KERNEL_INSTANTIATE(route_top_k, RouteArgs)
KERNEL_INSTANTIATE(grouped_gemm, GroupedGemmArgs)
KERNEL_INSTANTIATE(combine_experts, CombineArgs)

Routing group_by_expert(std::span<const std::int32_t> ids, std::int32_t experts) {
  Routing r;
  r.offsets.assign(experts + 1, 0);
  r.source.resize(ids.size());
  r.place.resize(ids.size());
  for (std::int32_t id : ids) ++r.offsets[id + 1];
  for (std::int32_t e = 0; e < experts; ++e) r.offsets[e + 1] += r.offsets[e];
  std::vector<std::int32_t> next(r.offsets.begin(), r.offsets.end() - 1);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    r.place[i] = next[ids[i]]++;
    r.source[r.place[i]] = static_cast<std::int32_t>(i);
  }
  return r;
}

}  // namespace orrery
