#include "kernels/sampling/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/common/simd.hpp"

namespace orrery {
namespace {

template <class A>
struct Candidate {
  A logit;                 ///< divided by the temperature; later the probability, not normalised
  std::int32_t token;
};

template <class A>
bool ranks_before(const Candidate<A>& a, const Candidate<A>& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

template <class T>
std::int32_t likeliest(const T* logits, std::int64_t vocab) {
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < vocab; ++i) {
    if (from(logits[i]) > from(logits[best])) best = i;
  }
  return static_cast<std::int32_t>(best);
}

template <class A>
A total(const std::vector<Candidate<A>>& candidates) {
  A sum = 0;
  for (const auto& c : candidates) sum += c.logit;
  return sum;
}

/// Keeps the best whose sum reaches top_p of all. A heap, as few of many are needed.
template <class A>
void keep_top_p(std::vector<Candidate<A>>& candidates, A top_p) {
  const auto worse = [](const Candidate<A>& a, const Candidate<A>& b) { return ranks_before(b, a); };
  const A enough = top_p * total(candidates);
  std::make_heap(candidates.begin(), candidates.end(), worse);
  std::vector<Candidate<A>> kept;
  for (A sum = 0; sum < enough && !candidates.empty();) {
    std::pop_heap(candidates.begin(), candidates.end(), worse);
    kept.push_back(candidates.back());
    sum += kept.back().logit;
    candidates.pop_back();
  }
  candidates.swap(kept);
}

template <class T>
std::int32_t draw(const T* logits, std::int64_t vocab, const SampleParams& p,
                  std::vector<Candidate<Accum<T>>>& candidates) {
  using A = Accum<T>;
  candidates.resize(static_cast<std::size_t>(vocab));
  for (std::int64_t i = 0; i < vocab; ++i) {
    candidates[i] = {from(logits[i]) / static_cast<A>(p.temperature), static_cast<std::int32_t>(i)};
  }
  if (p.top_k > 0 && p.top_k < vocab) {
    std::nth_element(candidates.begin(), candidates.begin() + p.top_k - 1, candidates.end(), ranks_before<A>);
    candidates.resize(static_cast<std::size_t>(p.top_k));
    std::sort(candidates.begin(), candidates.end(), ranks_before<A>);
  }
  A most = candidates[0].logit;
  for (const auto& c : candidates) most = std::max(most, c.logit);
  for (auto& c : candidates) c.logit = std::exp(c.logit - most);
  if (p.top_p < 1) keep_top_p(candidates, static_cast<A>(p.top_p));
  const A target = static_cast<A>(sample_uniform(p.seed, p.sequence, p.position)) * total(candidates);
  A sum = 0;
  for (const auto& c : candidates) {
    sum += c.logit;
    if (sum > target) return c.token;
  }
  return candidates.back().token;        // the target rounded up to the total
}

}  // namespace

template <class T>
void sample(const SampleArgs<T>& a) {
  std::vector<Candidate<Accum<T>>> candidates;
  for (std::int64_t i = 0; i < a.rows; ++i) {
    const T* logits = a.logits + i * a.vocab;
    a.out[i] =
        a.params[i].temperature > 0 ? draw(logits, a.vocab, a.params[i], candidates) : likeliest(logits, a.vocab);
  }
}

KERNEL_INSTANTIATE(sample, SampleArgs)

}  // namespace orrery
