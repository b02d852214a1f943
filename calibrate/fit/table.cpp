#include "calibrate/fit/table.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') cells.emplace_back();
    else if (c != '\r') cells.back() += c;
  }
  return cells;
}

/// Names of the columns that make a shape, in its order; "" is a constant 0.
std::vector<std::string> shape_columns(Op op) {
  if (op == Op::kGemm) return {"m", "n", "k"};
  if (op == Op::kPrefill) return {"batch_size", "isl", "", "num_heads", "num_key_value_heads", "head_dim"};
  return {"batch_size", "kv_len", "num_heads", "num_key_value_heads", "head_dim"};
}

constexpr double kTolerance = 0.95;  // a clock may run a little above its data sheet

/// Empty if the time is possible.
std::string why_impossible(Op op, const Sample& s, const SpeedOfLight& limits) {
  if (!(s.seconds > 0)) return "time not positive";
  if (s.seconds < kTolerance * law_flops(op, s.x) / limits.flops_per_s) return "faster than peak arithmetic";
  const double bytes = law_bytes(op, s.x);
  const double rate = bytes <= limits.cache_bytes ? limits.cache_bytes_per_s : limits.bytes_per_s;
  if (s.seconds < kTolerance * bytes / rate) return "faster than memory";
  return "";
}

}  // namespace

std::size_t CsvTable::column(std::string_view name) const {
  const auto it = std::find(columns.begin(), columns.end(), name);
  if (it == columns.end()) throw ConfigError(path + ":1: no column '" + std::string(name) + "'");
  return static_cast<std::size_t>(it - columns.begin());
}

double CsvTable::number(std::size_t row, std::size_t column) const {
  const std::string& cell = text(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size()) {
    throw ConfigError(path + ":" + std::to_string(row + 2) + ": expected a number, got '" + cell + "'");
  }
  return value;
}

CsvTable read_csv(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw ConfigError(path + ": cannot read");
  CsvTable t{path, {}, {}};
  std::string line;
  while (std::getline(in, line)) {
    if (line.empty()) continue;
    auto cells = split(line);
    if (t.columns.empty()) {
      t.columns = std::move(cells);
      continue;
    }
    if (cells.size() != t.columns.size()) {
      throw ConfigError(path + ":" + std::to_string(t.rows.size() + 2) + ": expected " +
                        std::to_string(t.columns.size()) + " cells, got " + std::to_string(cells.size()));
    }
    t.rows.push_back(std::move(cells));
  }
  return t;
}

std::size_t SampleSet::rejected_rows() const {
  std::size_t n = 0;
  for (const auto& [reason, count] : rejected) n += static_cast<std::size_t>(count);
  return n;
}

SampleSet read_operator(Op op, const CsvTable& table, const SpeedOfLight& limits) {
  std::vector<std::size_t> places;
  for (const auto& name : shape_columns(op)) places.push_back(name.empty() ? table.columns.size() : table.column(name));
  const std::size_t latency = table.column("latency_ms");
  const std::size_t dtype = table.column(op == Op::kGemm ? "gemm_dtype" : "kv_cache_dtype");
  SampleSet set;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (table.text(row, dtype) != "bfloat16" && table.text(row, dtype) != "float16") continue;
    Sample s{{}, table.number(row, latency) * 1e-3};
    for (std::size_t d = 0; d < places.size(); ++d) {
      if (places[d] < table.columns.size()) s.x[d] = table.number(row, places[d]);
    }
    const std::string reason = why_impossible(op, s, limits);
    if (reason.empty()) set.rows.push_back(s);
    else ++set.rejected[reason];
  }
  return set;
}

}  // namespace orrery
