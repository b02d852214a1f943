/// One attempt of `orrery validate`: a real engine and its simulation side by side. Calibration of whole steps, real
/// runs of the workload and more calibration by turns, so that all meet the same machine; then the law is fitted, the
/// workload simulated with it, and compared.
///
///   ValidateSetup setup = ...;                       // what the config comes to
///   Attempt a = attempt(setup, 1, progress);         // a.metrics, a.verdict
///
/// Measured = median over the runs; where the machine drifts more than the gate allows, the attempt is noisy. On a CPU
/// with neighbours it is, too, where a metric misses its gate by no more than alike runs differ; on a GPU a miss is a
/// miss. Every gate must also catch three broken laws. Where the config names a hardware model, what that predicts is
/// compared, too.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "calibrate/step/step_calibration.hpp"
#include "experiments/assembly.hpp"

namespace orrery {

/// A number of a run, with the error that its prediction may have; `gate` 0: shown only.
struct GateMetric {
  const char *name, *unit;
  double gate;                               ///< percent
  double (*of)(const Summary&);
};

/// What a prediction must hold. On a CPU, on the CPU time of the engine's thread at a load of 0.6 to 0.8 (kernels.md
/// section 4), throughput, busy time and mean E2E within 10 %, TTFT p50 15 %, p99 20 %; on a GPU (section 3.5)
/// throughput within 3 %, p50 of E2E and TPOT 5 %, p99 10 %, step times 5 % in the mean and 10 % at p95 on batches left
/// out of fits.
struct Gate {
  std::vector<GateMetric> metrics;
  double step_mean = 0, step_p95 = 0;        ///< percent; 0: shown only
  double drift = 10;                         ///< percent that the machine may change while it is measured
  bool spread_excuses = false;               ///< a miss within the spread of alike runs decides nothing: CPU only
};
const Gate& gate_of(const std::string& backend);

struct ComparedMetric {
  const GateMetric* metric;
  std::vector<double> measured;              ///< of each real run
  double predicted = 0;
  double median() const;
  double spread() const;                     ///< percent: largest less smallest of the runs, over their median
  double error() const;                      ///< percent of the median
  bool holds() const;
  /// It misses its gate, by no more than the real runs, which are alike, differ among themselves.
  bool undecided() const { return !holds() && std::abs(error()) <= spread(); }
};

/// A law with one term falsified: the gate must notice.
struct BrokenLaw {
  const char* what;
  std::vector<ComparedMetric> metrics;
  bool caught() const;
};

struct Attempt {
  enum class Verdict : std::uint8_t { kPass, kFail, kNoisy } verdict = Verdict::kFail;
  std::vector<ComparedMetric> metrics;
  std::vector<ComparedMetric> of_hardware;   ///< predicted by the config's hardware model; empty: it names none
  StepCalibration calibration;
  StepError run_steps;                       ///< of the law on the steps of the real runs, none of them fitted
  std::int64_t steps = 0;
  int runs = 0, parity = 0;                  ///< real runs; those whose replay decided the same
  std::vector<std::string> differences;      ///< of the others
  double load = 0;                           ///< predicted share of time that the engine is busy
  double rate = 0;                           ///< arrivals a second; 0: as the workload says
  std::vector<BrokenLaw> broken;
};

constexpr const char* name(Attempt::Verdict v) {
  constexpr const char* names[] = {"pass", "fail", "noisy"};
  return names[static_cast<int>(v)];
}

struct ValidateSetup {
  std::function<Assembly(double rate)> assemble;   ///< for the backend; rate 0: as the config says
  std::function<Summary(double rate)> predict;     ///< by the config's hardware model; empty: it names none
  ValidateConfig options;
  std::uint64_t seed = 1;
  const Gate* gate = &gate_of("cpu");
};

/// "noisy" where the machine drifted or, if the gate excuses it, nothing but undecided metrics miss; decisions that
/// differ fail whatever the machine did.
Attempt::Verdict verdict_of(const Attempt& attempt, const Gate& gate);

/// "PASSED" at the first attempt that passes, "FAILED" when two have failed or decisions differ, "SKIPPED" when three
/// were too noisy to tell; "" : one more is needed.
std::string settled(const std::vector<Attempt>& attempts);

/// `tell`: what is being done, for the terminal.
Attempt attempt(const ValidateSetup& setup, const std::function<void(const std::string&)>& tell);

}  // namespace orrery
