/// The requests of a config, and the sources around a source that /stop and /classes put there.
///
///   auto source = make_requests(config, seed, info);
///   auto limited = limit_source(std::move(source), {.requests = 1000});
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiments/run_config.hpp"
#include "sim/request.hpp"

namespace orrery {

/// /workload with what /stop and /classes say. Throws ConfigError.
std::unique_ptr<RequestSource> make_requests(const RunConfig& config, std::uint64_t seed, ResolvedInfo& info);

/// Ends the arrivals after a number of requests or at a time; the source itself where there is no limit.
std::unique_ptr<RequestSource> limit_source(std::unique_ptr<RequestSource> source, const StopConfig& stop);

/// Gives each request the first class that matches it (classes.hpp), and that class's priority; the last class is
/// "other", for those that match none.
std::unique_ptr<RequestSource> classify_source(std::unique_ptr<RequestSource> source,
                                               const std::vector<ClassConfig>& rules, const ResolvedInfo& names);

}  // namespace orrery
