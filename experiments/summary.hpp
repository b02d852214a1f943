/// summary.json (DESIGN section 4): keys are added, never renamed.
///
/// Over several replications counts are totals, maxima are maxima, and all else is the mean (combine.hpp); `intervals`
/// holds 95 % intervals by dotted key. A key that does not apply is left out.
///
///   Value s = summary_of(result);   s.at("ttft_s").at("p99").as_double()
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "experiments/result.hpp"
#include "experiments/statistics.hpp"

namespace orrery {

inline constexpr std::string_view kSummarySchema = "orrery-summary-1";

Value summary_of(const RunResult& result);

/// The value at a dotted key ("ttft_s.p99"); null if there is none.
const Value* find_path(const Value& summary, std::string_view dotted);
/// Its interval, where there is one.
std::optional<Interval> interval_of(const Value& summary, const std::string& dotted);

/// 16 hex digits of a 64-bit hash of the text.
std::string hash_text(std::string_view text);
std::string hex16(std::uint64_t value);

}  // namespace orrery
