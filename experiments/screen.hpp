/// The one screen that a run prints, made from summary.json alone, so that everything printed is in the file.
///
///   std::cout << screen_of(summary_of(result));      // ends with the missed SLO, if one is missed
#pragma once

#include <cstdint>
#include <string>

#include "sim/config/value.hpp"

namespace orrery {

std::string screen_of(const Value& summary, const std::string& more = {});

/// "SLO missed: ttft_p99 612 ms > 500 ms"; "" if none is given or all are met.
std::string missed_slo(const Value& summary);

std::string grouped(std::int64_t n);                 ///< 20,000
std::string significant(double value, int digits);   ///< 3 digits: 0.0123, 4.56, 789, 12300
std::string percent(double fraction);                ///< 99.4 %
std::string seconds_text(double s);                  ///< 48 ms, 1.31 s, 20.4 us

}  // namespace orrery
