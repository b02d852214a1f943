/// A fitted workload: joint lengths, the rate and burstiness of its arrivals, and where the source has it the structure
/// of its shared prefixes. A small JSON file (traces/models/*.json are built into the program; a user's own lies beside
/// the config) made by fit.hpp, in which `source` and `fit` say what it was fitted on and how well.
///
/// Lengths: the prompt by its quantile grid; the output by one grid for each of B equal shares of prompt rank, so the
/// dependence of output on prompt is kept as far as B goes.
///
///   WorkloadModel m = find_workload_model("azure-conv-2023", search_path);
///   auto [prompt, output] = m.draw(u1, u2);          // two uniform numbers
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/config/search_path.hpp"
#include "sim/config/value.hpp"
#include "traces/quantile_grid.hpp"

namespace orrery {

/// How prompts share leading blocks with earlier ones (trace block ids, e.g. Mooncake's).
struct ReuseModel {
  std::int64_t block_tokens = 512;
  double root_share = 0;                     ///< of requests whose first block is the common one
  std::vector<double> continuing;            ///< share that shares two blocks or more, by share of prompt rank
  std::vector<QuantileGrid> shared;          ///< of those: shared blocks in thousandths of the prompt's blocks
  QuantileGrid age;                          ///< how many requests ago the blocks were last used
};

struct WorkloadModel {
  std::string name, source;
  QuantileGrid prompt;
  std::vector<QuantileGrid> output;          ///< by equal shares of prompt rank
  double rate = 0;                           ///< requests per second of the source; 0: it has no arrival times
  double cv = 1;                             ///< coefficient of variation of its gaps
  std::optional<ReuseModel> reuse;

  std::size_t rank_share(double u, std::size_t shares) const {
    return std::min(static_cast<std::size_t>(u * static_cast<double>(shares)), shares - 1);
  }
  /// Prompt and output tokens, >= 1, from two uniform numbers in [0, 1).
  std::pair<std::int64_t, std::int64_t> draw(double u_prompt, double u_output) const {
    return {prompt.at(u_prompt), output[rank_share(u_prompt, output.size())].at(u_output)};
  }
  double mean_prompt() const { return prompt.mean(); }
  double mean_output() const;
  double output_cdf(std::int64_t x) const;   ///< over all prompts

  static WorkloadModel from_value(const Value& v);   ///< throws ConfigError
  Value to_value() const;
};

/// Names of the models inside the program, in alphabetic order.
std::vector<std::string> builtin_workload_models();
/// Its JSON text; empty if there is none.
std::string_view builtin_workload_model(std::string_view name);
/// NAME or NAME.json on the search path, else built in. Throws ConfigError: unknown, with the nearest name; malformed.
WorkloadModel find_workload_model(std::string_view name, const SearchPath& path);

}  // namespace orrery
