#include "traces/signal_file.hpp"

#include <algorithm>

#include "sim/config/names.hpp"
#include "sim/config/units.hpp"
#include "traces/text_file.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

constexpr double kMaxSeconds = 9e6;   ///< the horizon of a run, rounded down

std::vector<std::string> fields(std::string_view line) {
  std::vector<std::string> out;
  for (std::size_t from = 0; from <= line.size();) {
    const std::size_t to = std::min(line.find(',', from), line.size());
    out.emplace_back(line.substr(from, to - from));
    from = to + 1;
  }
  return out;
}

/// "1e9"
std::string power_of_ten(double value) {
  int exponent = 0;
  for (; value >= 10; value /= 10) ++exponent;
  return "1e" + std::to_string(exponent);
}

/// Which column holds the values.
std::size_t column_of(const std::vector<std::string>& header, const std::string& wanted, const std::string& where) {
  const std::vector<std::string> names(header.begin() + 1, header.end());
  if (wanted.empty() && names.size() == 1) return 1;
  const auto found = std::find(names.begin(), names.end(), wanted);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin()) + 1;
  if (wanted.empty())
    throw ConfigError(where + "has " + std::to_string(names.size()) + " columns of values; name one as \"column\"");
  throw ConfigError(where + unknown_name("column", wanted, names));
}

}  // namespace

std::vector<SignalRow> read_signal(const std::string& path, const std::string& column, double most) {
  TextFile file(path);
  if (!file.more()) throw ConfigError(path + ": is empty");
  const std::vector<std::string> header = fields(file.take_line());
  if (header.size() < 2 || (header[0] != "t_s" && header[0] != "hour"))
    throw ConfigError(path + ":1: expected a header t_s,... or hour,..., got \"" + header[0] + "\"");
  const std::size_t at = column_of(header, column, path + ":1: ");
  const double unit = header[0] == "hour" ? 3600 : 1;
  std::vector<SignalRow> rows;
  RowErrors errors;
  for (std::int64_t line = 2; file.more(); ++line) {
    const std::string text(file.take_line());
    if (text.empty()) continue;
    const std::vector<std::string> row = fields(text);
    const auto start = parse_number(row[0]);
    const auto value = at < row.size() ? parse_number(row[at]) : std::nullopt;
    const auto bad = [&](const std::string& rule) { errors.add(path, line, rule + ", got \"" + text + "\""); };
    if (!start || !value) bad("expected numbers " + header[0] + "," + header[at]);
    else if (*value < 0 || *value > most) bad(header[at] + ": expected a number in [0, " + power_of_ten(most) + "]");
    else if (*start < 0 || *start * unit > kMaxSeconds * 8) bad(header[0] + ": expected a time in [0, 7.2e7] s");
    else if (rows.empty() && *start != 0) bad(header[0] + ": the first row must be at 0");
    else if (!rows.empty() && *start * unit <= rows.back().start_s) bad(header[0] + ": must increase from row to row");
    else rows.push_back({*start * unit, *value});
  }
  if (!errors.empty()) errors.raise();
  if (rows.empty()) throw ConfigError(path + ": holds no values");
  return rows;
}

}  // namespace orrery
