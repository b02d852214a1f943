/// Paper experiments (DESIGN section 8): what a paper says, the configs that repeat it, the band of the spec card, and
/// a negative control that must leave the band. No result is stored; a run computes it.
///
///   {
///     "system": ["vllm"], "paper": "PagedAttention (SOSP'23)", "title": "...",
///     "base": { run config }, "configs": { "paged": { changes to base }, "max": {...} },
///     "search": { "low": 0.2, "high": 8, "seconds": 1500 },          // for max_rate; `count` for max_count
///     "count": { "low": 20, "high": 40, "sets": { "/cluster/replicas": 1, "/workload/arrival/rate": 0.5 } },
///     "checks": [ { "what": "...", "place": "section 6.2", "value": "7.00", "band": [5.95, 8.05],
///                   "metric": "max:/batch/mean_running", "control": "paged:/batch/mean_running",
///                   "expect": "holds", "notes": "" } ]
///   }
///
/// Keys beside these: `needs` (data files; without them the verdict is needs-data), `twin` (the experiment that runs
/// without them), `twin_of`, `heavy` (left out of `all`), `sla` (see PaperSla), `slowdown` (limits on slowdowns against
/// a reference, {"alone": CONFIG, "ttft": [p50, p90, p99], "tpot", "e2e"}: paper_slowdown.hpp), `columns` (figures that
/// are printed and claim nothing, [{"what", "metric"}]), `notes`. A band end that is null is open. A check that only a
/// real device can answer says `"expect": "needs-gpu"` and why in its notes, and has no metric. Systems are names of
/// batching policies, or values of the engine config (kEngineSystems). The metric language is that of
/// paper_expression.hpp; beside a summary's keys there are /paper/... (paper_run.cpp).
///
///   for (const PaperExperiment& e : shipped_papers()) { PaperResult r = run_paper(e); r.checks[0].verdict; }
#pragma once

#include <array>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/paper_expression.hpp"
#include "experiments/paper_slowdown.hpp"
#include "sim/config/reader.hpp"
#include "sim/config/value.hpp"

namespace orrery {

enum class Verdict : unsigned char { kHolds, kDiffers, kNeedsData, kNeedsGpu };

constexpr std::string_view name(Verdict v) {
  constexpr std::string_view names[] = {"holds", "differs", "needs-data", "needs-gpu"};
  return names[static_cast<int>(v)];
}

/// Systems that are no policies but values of the engine config.
struct EngineSystem { std::string_view name, key, paper; };
inline constexpr std::array kEngineSystems{
    EngineSystem{"flashattention-3", "engine.kernels.attention", "FlashAttention-3 (NeurIPS'24)"},
    EngineSystem{"flashdecoding++", "engine.kernels.softmax, engine.kernels.gemm", "FlashDecoding++ (MLSys'24)"},
    EngineSystem{"kivi", "engine.kv_format", "KIVI (ICML'24)"},
    EngineSystem{"vattention", "engine.kv_layout", "vAttention (ASPLOS'25)"}};

struct PaperBand {
  double low, high;                        ///< -+infinity where open; inclusive
  bool has(double x) const { return x >= low && x <= high; }
};

struct PaperCheck {
  std::string what, place, value, notes;   ///< value: the paper's, as it states it
  PaperBand band{};
  PaperExpression metric, control;
  Verdict expect = Verdict::kHolds;
};

/// A figure that is printed beside the checks: a cost, a power.
struct PaperColumn {
  std::string what;
  PaperExpression metric;
};

/// A request keeps its service level if its first token came within prompt / prompt_rate and its others at output_rate
/// or faster: on average, or, with a span, at every token in the exponential moving average of the gaps so far
/// (weights (1 - a)^i with a = 2 / (span + 1), normalised: pandas' ewm(span), as FastGen's benchmark has it).
struct PaperSla {
  double prompt_rate = 0, output_rate = 0; ///< tokens a second; 0: no limit
  std::int64_t moving_average = 0;         ///< span in tokens; 0: the mean of the request
};

struct PaperSearch {
  double low = 0, high = 0;                ///< requests a second that surely do, surely do not hold
  double seconds = 1500;                   ///< simulated at each rate
  double tolerance = 0.02;                 ///< relative width at which the bisection ends
};

/// Integers; each key of the config is set to the count times its factor.
struct PaperCount {
  std::int64_t low = 0, high = 0;          ///< that surely does, surely does not hold
  std::vector<std::pair<std::string, double>> sets;
};

struct PaperExperiment {
  std::string name, paper, title, notes, twin, twin_of;
  std::vector<std::string> systems;  ///< names of policies (batching, order, admission, cluster), or of kEngineSystems
  std::vector<std::string> needs;
  bool heavy = false;
  Value base;
  std::vector<std::pair<std::string, Value>> configs;   ///< merged with base
  PaperSla sla;
  PaperSlowdown slowdown;
  PaperSearch search;
  PaperCount count;
  std::vector<PaperCheck> checks;
  std::vector<PaperColumn> columns;
};

/// Adds every error with its JSON pointer; what it returns then is not to be run.
PaperExperiment read_paper(const std::string& name, const Value& document, ErrorList& errors);

/// A file of experiments/papers, built into the program, sorted by name.
struct EmbeddedPaper { std::string_view name, text; };
const std::vector<EmbeddedPaper>& embedded_papers();
std::vector<PaperExperiment> shipped_papers();   ///< throws ConfigError with all errors of all files

struct PaperOutcome {
  double ours = 0, control = 0;            ///< of no meaning under needs-data and needs-gpu
  Verdict verdict = Verdict::kNeedsData;
  bool control_leaves = false;
};

struct PaperResult {
  const PaperExperiment* experiment = nullptr;
  std::vector<PaperOutcome> checks;        ///< as experiment->checks
  std::string missing;                     ///< the data file that is not there
  double seconds = 0;                      ///< of this process's CPU
  std::vector<double> columns;             ///< as experiment->columns
  /// Verdicts are those stated (or data is missing) and the controls leave their bands.
  bool as_stated() const;
};

/// Throws ConfigError where a config or an expression cannot be run.
PaperResult run_paper(const PaperExperiment& experiment);

std::string paper_text(const std::vector<PaperResult>& results);
Value paper_json(const std::vector<PaperResult>& results);
std::string paper_markdown(const std::vector<PaperResult>& results);   ///< docs/SYSTEMS.md

struct PaperOptions {
  std::string name;                        ///< "" : list, "all", one, or a file that ends in .json
  bool json = false, markdown = false, heavy = false;
};

/// The verb: 0 if every verdict is the one that the experiment states, else 2.
int paper_verb(const PaperOptions& options, std::ostream& out, std::ostream& err);

}  // namespace orrery
