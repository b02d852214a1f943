#include "policies/disaggregation/distserve_placement.hpp"

#include <algorithm>

namespace orrery {
namespace {

/// A split and what one instance of it serves.
struct Rated {
  PhaseSplit split;
  double goodput = 0;
  double per_gpu() const { return goodput / split.gpus(); }
};

template <class Goodput>
std::vector<Rated> rated(const std::vector<PhaseSplit>& splits, Goodput goodput) {
  std::vector<Rated> out;
  for (const PhaseSplit s : splits)
    if (const double g = goodput(s); g > 0) out.push_back({s, g});
  std::stable_sort(out.begin(), out.end(), [](const Rated& a, const Rated& b) { return a.per_gpu() > b.per_gpu(); });
  return out;
}

int instances_for(double rate, double goodput) {
  const auto whole = static_cast<int>(rate / goodput);
  return whole + (whole * goodput < rate ? 1 : 0);
}

PhasePlan plan_of(const Rated& p, const Rated& d, int prefills, int decodes) {
  return {p.split, d.split, prefills, decodes, std::min(prefills * p.goodput, decodes * d.goodput), false};
}

/// Instances of two splits for a rate, or the numbers of them that serve most on the devices there are.
PhasePlan replicated(const PlacementSpace& space, const Rated& p, const Rated& d) {
  if (space.rate > 0) {
    const PhasePlan plan = plan_of(p, d, instances_for(space.rate, p.goodput), instances_for(space.rate, d.goodput));
    return plan.gpus() <= space.gpus ? plan : PhasePlan{};
  }
  PhasePlan best;
  for (int n = 1; n * p.split.gpus() < space.gpus; ++n) {
    const int room = (space.gpus - n * p.split.gpus()) / d.split.gpus();
    const int needed = std::min(room, std::max(1, instances_for(n * p.goodput, d.goodput)));
    if (room == 0) break;
    const PhasePlan plan = plan_of(p, d, n, needed);
    if (plan.goodput > best.goodput || (plan.goodput == best.goodput && plan.gpus() < best.gpus())) best = plan;
  }
  return best;
}

}  // namespace

std::vector<PhaseSplit> feasible_splits(const PlacementSpace& space, int gpus, int stages_apart) {
  std::vector<PhaseSplit> out;
  for (int tp = 1; tp <= std::min(gpus, space.gpus_per_node); ++tp) {
    if (space.heads % tp != 0) continue;
    for (int pp = 1; pp * tp <= gpus; ++pp)
      if (space.layers % (pp * stages_apart) == 0) out.push_back({tp, pp * stages_apart});
  }
  std::stable_sort(out.begin(), out.end(), [](PhaseSplit a, PhaseSplit b) { return a.gpus() < b.gpus(); });
  return out;
}

/// The best split of each phase; where these two do not fit beside each other, the pair of splits that serves most.
PhasePlan place_apart(const PlacementSpace& space, GoodputOracle& oracle) {
  const auto splits = feasible_splits(space, space.gpus - 1);
  const auto prefill = rated(splits, [&](PhaseSplit s) { return oracle.prefill(s); });
  const auto decode = rated(splits, [&](PhaseSplit s) { return oracle.decode(s); });
  if (prefill.empty() || decode.empty()) return {};
  PhasePlan best = replicated(space, prefill.front(), decode.front());
  if (best.prefills > 0) return best;
  for (const Rated& p : prefill)
    for (const Rated& d : decode)
      if (const PhasePlan plan = replicated(space, p, d); plan.goodput > best.goodput) best = plan;
  return best;
}

PhasePlan place_paired(const PlacementSpace& space, GoodputOracle& oracle) {
  const int node = std::min(space.gpus_per_node, space.gpus), nodes = std::max(1, space.gpus / node);
  PhasePlan best;
  for (int apart = 1; apart <= nodes; ++apart) {
    const auto splits = feasible_splits(space, node - 1, apart);
    for (const PhaseSplit p : splits) {
      for (const PhaseSplit d : splits) {
        const int pair = p.gpus() + d.gpus();
        if (pair > node * apart) continue;
        const double bound = std::min(oracle.prefill(p), oracle.decode(d)) / pair;
        if (bound <= best.per_gpu()) continue;
        const double goodput = oracle.pair(p, d);
        if (goodput / pair <= best.per_gpu()) continue;
        const int fit = (node / (pair / apart)) * (nodes / apart);
        const int wanted = space.rate > 0 ? instances_for(space.rate, goodput) : fit;
        if (wanted <= fit) best = {p, d, wanted, wanted, wanted * goodput, true};
      }
    }
  }
  return best;
}

}  // namespace orrery
