/// Classes of requests (DESIGN section 3, /classes): who is in one, what it is owed, how its clients behave.
///
///   "classes": {"interactive": {"match": {"tenant": ["web"]}, "slo": {"ttft_p99": "500ms"}, "priority": 0,
///                               "weight": 3,
///                               "timeout": "30s", "retry": {"max": 2, "backoff": "1s"},
///                               "qoe": {"ttft": "1s", "tpot": "230ms", "formula": "v2"}}}
///
/// A request is in the first class whose `match` it meets (all of its keys, any of the names); the rest is "other".
/// Names are those of the trace or of /workload/tenants, so what matches nothing is found when these are known.
///
///   check_classes(config.classes, info, errors);   // names nobody has, classes nobody is in, tenants without weight
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/config/describe.hpp"
#include "sim/config/reader.hpp"
#include "sim/metrics/qoe.hpp"
#include "sim/metrics/summary.hpp"
#include "sim/policy.hpp"
#include "sim/request.hpp"
#include "traces/make_source.hpp"

namespace orrery {

struct RetryConfig {
  std::int64_t max = 0;            ///< attempts after the first
  Duration backoff = 1s;           ///< before the second; doubles with each further one
};
void describe(Describer&, RetryConfig&);

/// What a reader expects (sim/metrics/qoe.hpp).
struct QoeConfig {
  enum class Formula { kV1, kV2 } formula = Formula::kV2;
  Duration ttft = 1s, tpot{};
};
void describe(Describer&, QoeConfig&);

struct ClassConfig {
  std::string name;
  std::vector<std::string> tenants, classes, models;  ///< to match, names of the trace; empty: any
  std::int64_t priority = 0;
  double weight = 1;
  bool has_weight = false;         ///< stated, not the default
  Duration timeout{};              ///< 0: none
  RetryConfig retry;
  QoeConfig qoe;                   ///< tpot 0: none
};
void describe(Describer&, ClassConfig&);   ///< the plain keys: priority, weight, timeout

/// The classes of the document, and their limits added to `slo`.
std::vector<ClassConfig> read_classes(const Value& v, std::vector<SloLimit>& slo, ErrorList& errors);

/// Does the class match a request with these names?
bool matches(const ClassConfig& c, const std::string& tenant, const std::string& of_trace, const std::string& model);

/// What can be said once the workload is known: a name that no request has, a class that none can be in because earlier
/// ones match all that it does, a tenant without a weight where some have one.
void check_classes(const std::vector<ClassConfig>& classes, const ResolvedInfo& workload, ErrorList& errors);

/// By number, "other" last; empty if no class says anything of it.
std::vector<ClientRule> client_rules(const std::vector<ClassConfig>& classes);
std::vector<ServiceClass> service_classes(const std::vector<ClassConfig>& classes);
std::vector<QoeRule> qoe_rules(const std::vector<ClassConfig>& classes);

}  // namespace orrery
