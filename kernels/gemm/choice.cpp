#include "kernels/gemm/choice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace orrery {
namespace {

GemmImpl choice(const GemmThresholds& t, std::int64_t m) {
  return m < t.gemv_below ? GemmImpl::kGemv : m < t.flat_below ? GemmImpl::kFlat : GemmImpl::kLarge;
}

double time_of(const GemmProfile& p, GemmImpl impl, std::size_t i) {
  return impl == GemmImpl::kGemv ? p.gemv[i] : impl == GemmImpl::kFlat ? p.flat[i] : p.large[i];
}

}  // namespace

/// A threshold lies at a measured m or behind the last.
GemmThresholds fit_thresholds(std::int64_t n, std::int64_t k, const GemmProfile& p) {
  const auto bound = [&](std::size_t i) { return i < p.m.size() ? p.m[i] : p.m.back() + 1; };
  GemmThresholds best{n, k, 0, 0};
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t a = 0; a <= p.m.size(); ++a) {
    for (std::size_t b = a; b <= p.m.size(); ++b) {
      const GemmThresholds t{n, k, bound(a), bound(b)};
      double sum = 0;
      for (std::size_t i = 0; i < p.m.size(); ++i) sum += std::log(time_of(p, choice(t, p.m[i]), i));
      if (sum < least) {
        least = sum;
        best = t;
      }
    }
  }
  return best;
}

double worst_regret(const GemmThresholds& t, const GemmProfile& p) {
  double worst = 0;
  for (std::size_t i = 0; i < p.m.size(); ++i) {
    const double best = std::min({p.gemv[i], p.flat[i], p.large[i]});
    worst = std::max(worst, time_of(p, choice(t, p.m[i]), i) / best - 1);
  }
  return worst;
}

GemmImpl GemmTable::choose(std::int64_t m, std::int64_t n, std::int64_t k) const {
  if (const auto known = shapes_.find({n, k}); known != shapes_.end()) return choice(known->second, m);
  if (shapes_.empty()) return gemm_choice(m);
  const auto distance = [&](const GemmThresholds& t) {
    return std::fabs(std::log(static_cast<double>(t.n) / static_cast<double>(n))) +
           std::fabs(std::log(static_cast<double>(t.k) / static_cast<double>(k)));
  };
  const auto nearest = std::min_element(shapes_.begin(), shapes_.end(), [&](const auto& a, const auto& b) {
    return distance(a.second) < distance(b.second);
  });
  return choice(nearest->second, m);
}

}  // namespace orrery
