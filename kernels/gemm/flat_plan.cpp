#include "kernels/gemm/flat_plan.hpp"

#include <algorithm>

namespace orrery {

FlatPlan flat_plan(std::int64_t m, std::int64_t n, std::int64_t k, std::int32_t units) {
  FlatPlan p;
  const std::int64_t columns = (m + 7) / 8 * 8, tiles = (n + 127) / 128;
  const std::int64_t steps = std::max<std::int64_t>(1, (k + 63) / 64);
  const std::int64_t wanted = (2 * std::int64_t{units} + tiles - 1) / std::max<std::int64_t>(1, tiles);
  const std::int64_t most = std::min(k / 512, k / (16 * columns));
  const std::int64_t splits = std::clamp<std::int64_t>(most, 1, std::max<std::int64_t>(wanted, 1));
  const std::int64_t part = (steps + splits - 1) / splits;
  p.columns = static_cast<std::int32_t>(columns);
  p.tiles = static_cast<std::int32_t>(tiles);
  p.k_part = static_cast<std::int32_t>(part * 64);
  p.splits = static_cast<std::int32_t>((steps + part - 1) / part);
  p.partials = p.splits > 1 ? std::int64_t{p.splits} * tiles * 128 * columns : 0;
  return p;
}

}  // namespace orrery
