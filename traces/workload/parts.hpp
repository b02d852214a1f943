/// The parts of a `workload` block, one reader each (make_source.hpp has the whole). A reader takes its keys, tells all
/// that is wrong with them to the context's errors, and returns what can be used.
///
///   WorkloadContext c{seed, path, errors, info};
///   LengthChoice lengths = read_lengths(c, workload.at("lengths"), false);
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/distribution.hpp"
#include "sim/config/reader.hpp"
#include "traces/arrival.hpp"
#include "traces/lengths.hpp"
#include "traces/make_source.hpp"
#include "traces/prefix.hpp"
#include "traces/session_source.hpp"
#include "traces/trace_source.hpp"
#include "traces/workload_model.hpp"

namespace orrery {

inline constexpr std::int64_t kDefaultRequests = 10'000;

std::string number_text(double x);   ///< whole numbers without a point

/// What the reading of all parts shares.
struct WorkloadContext {
  std::uint64_t seed;
  const SearchPath& path;
  ErrorList& errors;
  ResolvedInfo& info;

  std::optional<std::string> file(ObjectReader& in, std::string_view key, std::string_view name);
  /// A distribution: a number or a string; values in SI of `dimension`.
  std::optional<Distribution> distribution(ObjectReader& in, std::string_view key, Dimension dimension);
  /// One whose draws count tokens, turns or the like: a fixed value below 1 is a mistake.
  std::optional<Distribution> counts(ObjectReader& in, std::string_view key, double most, std::string_view unit);
  /// One whose draws are waits.
  std::optional<Distribution> waits(ObjectReader& in, std::string_view key);
};

/// lengths: a model's name | {"name" | "prompt"+"output" | "trace", "max_tokens", "max_total"}
struct LengthChoice {
  std::shared_ptr<const LengthModel> model;      ///< null: those of the trace
  std::optional<WorkloadModel> fitted;
  LengthRules rules;
  std::int64_t output = 0;                       ///< of a trace that has none
  std::string label;
};
LengthChoice read_lengths(WorkloadContext& c, const Value& v, bool beside_trace);

/// arrival: {"process": constant|poisson|gamma|onoff|profile|closed|sinusoid, rate, cv, on, off, profile, ...}
enum class ArrivalKind { kConstant, kPoisson, kGamma, kOnOff, kProfile, kClosed, kSinusoid };
struct ArrivalChoice {
  ArrivalKind process = ArrivalKind::kPoisson;
  double rate = 0, cv = 1;
  std::optional<Distribution> on, off, think;
  std::vector<RateStep> profile;
  std::int64_t users = 0;
  double amplitude = 0.5;
  Duration period = 24h;
  std::string label;

  bool rated() const { return process <= ArrivalKind::kOnOff || process == ArrivalKind::kSinusoid; }

  std::unique_ptr<ArrivalProcess> make(std::uint64_t seed) const;   ///< null: closed
};
/// `fitted`: a workload model that brings a rate and a burstiness along.
std::optional<ArrivalChoice> read_arrival(WorkloadContext& c, const Value& v,
                                          const std::optional<WorkloadModel>& fitted);
Value resolved(const ArrivalChoice& a);

/// {"turns": D, "think": D, "mode": "closed"|"open"}; each turn draws new prompt tokens and an output from `lengths`.
std::optional<SessionRules> read_sessions(WorkloadContext& c, const Value& v);
/// [{"tokens": 1800, "share": 0.6}]: of the requests, or of the sessions.
std::vector<DeclaredPrefix> read_prefixes(WorkloadContext& c, const Value& v);

struct TraceWindow { Duration from{}, to{}; bool given = false, clock = false; };
/// "14:00..15:00" (time of day) or "600..1200", "10min..20min" (since the start of the trace).
TraceWindow read_window(WorkloadContext& c, const Value& v);
/// {"factor": 3, "method": "resample"|"speedup"}; "thin" is resample with a factor of at most 1.
void read_scale(WorkloadContext& c, const Value& v, TraceRules& rules);

/// Requests drawn from arrivals and lengths; from a trace; of tenants that share a stream or have one each; for models.
std::unique_ptr<RequestSource> generated_workload(WorkloadContext& c, ObjectReader& in, const Value& workload);
std::unique_ptr<RequestSource> trace_workload(WorkloadContext& c, ObjectReader& in, const Value& workload);
std::unique_ptr<RequestSource> tenant_workload(WorkloadContext& c, ObjectReader& in, const Value& list,
                                               const Value& workload);
/// {"count", "zipf"}: model k of n is asked for in proportion to k^-zipf. Their names are m1, m2, ...
std::vector<double> read_models(WorkloadContext& c, const Value& v);
std::unique_ptr<RequestSource> with_models(WorkloadContext& c, std::unique_ptr<RequestSource> source,
                                           const std::vector<double>& shares);

}  // namespace orrery
