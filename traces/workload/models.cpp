#include "traces/workload/parts.hpp"

#include <utility>

#include "sim/base/math.hpp"
#include "sim/base/rng.hpp"
#include "traces/tenant_source.hpp"

namespace orrery {

std::vector<double> read_models(WorkloadContext& c, const Value& v) {
  ObjectReader in(v, c.errors);
  std::int64_t count = 1;
  double exponent = 1;
  if (in.require("count") != nullptr) in.integer("count", count, {1, 60000});
  in.number("zipf", exponent, {0, 10});
  in.finish();
  std::vector<double> shares;
  for (std::int64_t k = 1; k <= count; ++k) shares.push_back(fast_pow(static_cast<double>(k), -exponent));
  return shares;
}

std::unique_ptr<RequestSource> with_models(WorkloadContext& c, std::unique_ptr<RequestSource> source,
                                           const std::vector<double>& shares) {
  for (std::size_t k = 1; k <= shares.size(); ++k) c.info.models.push_back("m" + std::to_string(k));
  c.info.summary += " for " + std::to_string(shares.size()) + " models";
  c.info.random = c.info.random || shares.size() > 1;
  return std::make_unique<DrawnNames>(std::move(source), shares, c.seed, Purpose::kModel, &Request::model);
}

}  // namespace orrery
