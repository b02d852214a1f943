#include "policies/serverless/cheapest_set.hpp"

#include <algorithm>

namespace orrery {

CheapestSet cheapest_set(std::span<const Clearable> candidates, std::int32_t need) {
  constexpr Duration kNot = Duration::max();
  const auto width = static_cast<std::size_t>(std::max(need, 0)) + 1, n = candidates.size();
  // best[i * width + j]: least cost of j devices or more out of the first i candidates
  std::vector<Duration> best((n + 1) * width, kNot);
  best[0] = Duration{};
  const auto rest = [&](std::size_t i, std::size_t j) {
    const auto devices = static_cast<std::size_t>(candidates[i].devices);
    return j > devices ? j - devices : 0;
  };
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < width; ++j) {
      const Duration without = best[i * width + j], before = best[i * width + rest(i, j)];
      const Duration with = before == kNot ? kNot : before + candidates[i].cost;
      best[(i + 1) * width + j] = j == 0 ? Duration{} : std::min(without, with);
    }
  }
  CheapestSet out{best.back() != kNot, best.back(), {}};
  if (!out.possible) return {};
  for (std::size_t i = n, j = width - 1; i > 0 && j > 0; --i) {
    if (best[i * width + j] == best[(i - 1) * width + j]) continue;
    out.members.push_back(i - 1);
    j = rest(i - 1, j);
  }
  std::reverse(out.members.begin(), out.members.end());
  return out;
}

}  // namespace orrery
