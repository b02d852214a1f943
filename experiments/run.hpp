/// The verbs `run` and `rerun`.
///
///   int code = run_verb({.config = "run.json", .json = true}, out, err);   // 0 done, 2 SLO missed; throws ConfigError
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace orrery {

struct RunOptions {
  std::string config;
  std::vector<std::string> sets;              ///< "/json/pointer=VALUE"
  std::vector<std::string> plugins;           ///< "NAME=PATH"
  std::string out;                            ///< "" : no files
  bool force = false;
  std::optional<std::int64_t> seed, seeds;
  std::string executor = "model", metrics = "vllm", timeline;
  bool no_rows = false, no_fast_forward = false, verify_fast_forward = false, exact = false;
  bool max_rate = false;                      ///< search for the highest rate that keeps the SLO
  bool clairvoyant = false;                   ///< compare with a queue that knows all lengths
  bool json = false, quiet = false;
  std::string command;                        ///< as typed, for the provenance
};

/// Exit codes of the program.
inline constexpr int kExitDone = 0, kExitCannotRun = 1, kExitMissed = 2;

int run_verb(const RunOptions& options, std::ostream& out, std::ostream& err);

/// Runs DIR/config.json again and compares the fingerprint with DIR/summary.json: 0 if equal, 1 with both if not.
int rerun_verb(const std::string& folder, const RunOptions& options, std::ostream& out, std::ostream& err);

}  // namespace orrery
