/// The record of a passed `orrery validate` in a hardware model's file: what was compared with a real engine, when,
/// where, and how far the prediction was off. It holds for the numbers it was made with: a file that has changed since
/// (other than by records) has none.
///
///   ValidationRecord r{.date = "2026-11-24", .machine = "NVIDIA H200", ..., .subject = subject_of(file)};
///   add_record(file, r);                        // beside what was compared before, of the same numbers
///   records_from_json(file);                    // those that hold
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

struct ValidationRecord {
  struct Cell {
    std::string batching;
    double load = 0;                                      ///< share of time that the engine was busy
    std::vector<std::pair<std::string, double>> errors;   ///< metric, percent of what was measured
  };
  std::string date, machine, backend;   ///< backend: which engine of ours, "cpu" or "cuda"
  std::string model, cost;              ///< cost: "operators" or "steps", as in /hardware/cost
  std::string subject;                  ///< subject_of() the file
  std::vector<Cell> cells;

  /// "passed 2026-11-24 on NVIDIA H200 (executor cuda), sarathi and vllm at loads 0.5 to 0.8: throughput within 1.2 %,
  /// ..."
  std::string text() const;
};

/// A hash of all of the file but its records; 16 hex digits.
std::string subject_of(const Value& file);
/// Records of other numbers go. One of the same model and cost is replaced; of the same engine and machine, comparisons
/// under other policies and loads stay, so that a validation can be done in parts.
void add_record(Value& file, ValidationRecord record);
/// Throws ConfigError for records that cannot be read. `stale`: records were there, but of other numbers.
std::vector<ValidationRecord> records_from_json(const Value& file, bool& stale);

}  // namespace orrery
