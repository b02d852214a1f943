/// A CSV table in memory with its header, and the operator tables of aiconfigurator read as samples. A row that is
/// faster than the hardware allows is a measuring error and is left out; each reason is counted.
///
///   CsvTable t = read_csv("h200_sxm_gemm.csv");           // throws ConfigError with file:line
///   SampleSet s = read_operator(Op::kGemm, t, limits);     // s.rows, s.rejected
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/laws.hpp"

namespace orrery {

struct CsvTable {
  std::string path;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  std::size_t column(std::string_view name) const;                       ///< throws ConfigError if missing
  const std::string& text(std::size_t row, std::size_t column) const { return rows[row][column]; }
  double number(std::size_t row, std::size_t column) const;              ///< throws ConfigError with file:line
};

CsvTable read_csv(const std::string& path);

/// What no kernel can beat: dense peak rate, memory bandwidth, and the bandwidth of the cache that a small shape fits
/// in.
struct SpeedOfLight {
  double flops_per_s, bytes_per_s, cache_bytes, cache_bytes_per_s;
};

struct Sample {
  Shape x;
  double seconds;
};

struct SampleSet {
  std::vector<Sample> rows;
  std::map<std::string, int> rejected;  ///< reason -> rows
  std::size_t rejected_rows() const;
};

/// The 16-bit rows of an operator's table (columns as in aiconfigurator's vllm tables).
SampleSet read_operator(Op op, const CsvTable& table, const SpeedOfLight& limits);

}  // namespace orrery
