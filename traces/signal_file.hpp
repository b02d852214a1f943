/// A signal file: a quantity over time that changes in steps, as CSV.
///
///   t_s,usd_per_hour          the first column is the time, `t_s` in seconds or `hour` in hours; a value holds until
///   0,1.69                    the next row, the last for ever. The first row is at 0, times increase from row to row.
///   3600,0.85
///
///   std::vector<SignalRow> rows = read_signal("es.csv", "");      // throws ConfigError with file:line, all at once
///
/// `column`: its name where there are several. `most`: the largest value, a power of ten.
#pragma once

#include <string>
#include <vector>

namespace orrery {

struct SignalRow { double start_s, value; };

std::vector<SignalRow> read_signal(const std::string& path, const std::string& column, double most = 1e9);

}  // namespace orrery
