/// Fits the entries of a whole-model profile (hwmodels/profile.hpp) to a table of prompt and token times: the time of a
/// phase is linear between knots in the size of a step, plus a term in its context; coefficients positive, log
/// residuals, soft-L1. The error of each shape is that of a fit without it.
///
///   ProfileEntry e;
///   ProfileError error = fit_entry(published_steps(table, "llama2-70b", "a100-80gb", 8, 0), 400, e);   // 400 W
#pragma once

#include <string>
#include <vector>

#include "calibrate/fit/table.hpp"
#include "hwmodels/profile.hpp"

namespace orrery {

/// A row of splitwise-sim's data/perf_model.csv. Powers are fractions of the limit; 0: not recorded.
struct PublishedStep {
  double prompt, batch, outputs;  ///< tokens, calls, tokens generated
  double prompt_s, token_s;
  double peak_power, average_power;
  std::string shape() const;  ///< rows of one shape are repeats
};

struct PhaseError {
  double mape = 0, left_out_mape = 0, left_out_worst = 0, repeat = 0;  ///< percent; `repeat`: spread of repeats
};

struct ProfileError {
  PhaseError prefill, decode;
};

/// Rows whose prompts take less than `least_s_per_token` each are not measurements of what they say, and are left out
/// (two devices did not run 64 prompts).
std::vector<PublishedStep> published_steps(const CsvTable& table, const std::string& model, const std::string& hardware,
                                           int tp, double least_s_per_token);
/// Arithmetic of a token at the peak rate of `tp` devices.
double least_s_per_token(const ModelShape& model, const Hardware& hardware, int tp);

/// Sets the pieces, range, errors and, where recorded, the power of `entry`.
ProfileError fit_entry(const std::vector<PublishedStep>& steps, double limit_w, ProfileEntry& entry);

}  // namespace orrery
