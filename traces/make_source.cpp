#include "traces/make_source.hpp"

#include <utility>

#include "traces/workload/parts.hpp"

namespace orrery {

std::unique_ptr<RequestSource> make_source(const Value& workload, std::uint64_t seed, const SearchPath& path,
                                           ResolvedInfo& out, KeyPlaces elsewhere) {
  ErrorList errors;
  errors.elsewhere = std::move(elsewhere);
  WorkloadContext context{seed, path, errors, out};
  out = ResolvedInfo{};
  ObjectReader in(workload, errors);
  errors.throw_if_any();
  if (in.has("trace")) return trace_workload(context, in, workload);
  const Value *tenants = in.take("tenants"), *models = in.take("models");
  const std::vector<double> shares = models != nullptr ? read_models(context, *models) : std::vector<double>{};
  auto source =
      tenants != nullptr ? tenant_workload(context, in, *tenants, workload) : generated_workload(context, in, workload);
  return models != nullptr ? with_models(context, std::move(source), shares) : std::move(source);
}

}  // namespace orrery
