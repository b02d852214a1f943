#include "experiments/validate_attempt.hpp"

#include <algorithm>
#include <cmath>

#include "calibrate/live/live_step_engine.hpp"

namespace orrery {
namespace {

double median_of(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  const std::size_t n = x.size();
  return n % 2 == 1 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}

std::int64_t parameter(const Assembly& a, const char* name, std::int64_t otherwise) {
  const Value* v = a.resolved_policies.at("batching").find(name);
  return v != nullptr && v->is_number() && v->as_int() > 0 ? v->as_int() : otherwise;
}

/// The batches that this workload can make under its policy.
StepCalibrationOptions calibration_of(const Assembly& a, const ValidateConfig& c, std::uint64_t seed) {
  StepCalibrationOptions o;
  o.batches = static_cast<int>(c.batches);
  o.seed = seed;
  o.max_sequences = std::min<std::int64_t>(parameter(a, "max_running", 24), 64);
  o.max_context = a.workload.longest_total > 0 ? a.workload.longest_total : a.deployment.facts.max_context;
  o.max_context = std::min(o.max_context, a.deployment.facts.max_context);
  const std::int64_t longest = a.workload.longest_prompt > 0 ? a.workload.longest_prompt : o.max_context;
  o.token_budget = std::min(parameter(a, "token_budget", longest + o.max_sequences), 2 * longest + o.max_sequences);
  return o;
}

Replication simulated(const Assembly& a, std::uint64_t seed, const StepLaw& law) {
  const StepCostModel cost(law);
  Watch watch;
  watch.cost = &cost;
  return replicate(a, seed, watch);
}

/// The rate at which the engine is busy for `load` of the time, by the law: a few steps of the secant.
double rate_for(const ValidateSetup& setup, double load, const StepLaw& law, double rate) {
  double low = 0, low_busy = 0;
  for (int step = 0; step < 8; ++step) {
    const double busy = simulated(setup.assemble(rate), setup.seed, law).outcome.summary.busy;
    if (std::abs(busy - load) < 0.01) break;
    const double slope = (busy - low_busy) / (rate - low);
    const double next = slope > 0 ? rate + (load - busy) / slope : 0.5 * rate;
    low = rate;
    low_busy = busy;
    rate = std::clamp(next, 0.25 * rate, 4 * rate);
  }
  return rate;
}

std::vector<ComparedMetric> compared(const Gate& gate, const std::vector<Replication>& runs, const Summary& predicted) {
  std::vector<ComparedMetric> out;
  for (const GateMetric& m : gate.metrics) {
    ComparedMetric c{.metric = &m, .measured = {}, .predicted = m.of(predicted)};
    for (const Replication& r : runs) c.measured.push_back(m.of(r.outcome.summary));
    out.push_back(std::move(c));
  }
  return out;
}

std::vector<BrokenLaw> broken_laws(const ValidateSetup& setup, const Assembly& a, const StepLaw& law,
                                   const std::vector<Replication>& runs) {
  StepLaw attention = law, host = law, batch = law;
  attention.seconds[StepLaw::kDecodeContext] *= 1.3;
  attention.seconds[StepLaw::kPrefillPair] *= 1.3;
  host.seconds[StepLaw::kStep] = 0;
  batch.seconds[StepLaw::kSequence] = batch.seconds[StepLaw::kLoose] = batch.seconds[StepLaw::kToken] = 0;
  std::vector<BrokenLaw> out;
  for (const auto& [what, wrong] : {std::pair{"attention x 1.3", &attention}, std::pair{"host term 0", &host},
                                    std::pair{"batch term 0", &batch}}) {
    out.push_back({what, compared(*setup.gate, runs, simulated(a, setup.seed, *wrong).outcome.summary)});
  }
  return out;
}

StepError run_error(const StepLaw& law, const std::vector<std::vector<StepLog>>& logs, std::int64_t& steps) {
  std::vector<double> errors;
  double predicted = 0, measured = 0;
  for (const auto& run : logs) {
    for (const StepLog& log : run) {
      for (const MeasuredStep& s : log) {
        const double p = law.predict(s.shape), m = to_seconds(s.run.first);
        errors.push_back(100 * std::abs(p / m - 1));
        predicted += p;
        measured += m;
      }
    }
  }
  steps = static_cast<std::int64_t>(errors.size());
  StepError e;
  for (const double x : errors) e.mape += x / static_cast<double>(errors.size());
  e.bias = 100 * (predicted / measured - 1);
  std::sort(errors.begin(), errors.end());
  if (!errors.empty()) e.p95 = errors[errors.size() * 95 / 100];
  return e;
}

/// The measured times in the simulator: the same decisions, or what differs.
void check_parity(const Assembly& a, std::uint64_t seed, const Replication& real, const std::vector<StepLog>& log,
                  Attempt& out) {
  Watch watch;
  watch.replayed = &log;
  ++out.runs;
  try {
    const Outcome again = replicate(a, seed, watch).outcome;
    if (again.decisions == real.outcome.decisions && again.fingerprint == real.outcome.fingerprint) ++out.parity;
    else out.differences.emplace_back("the decisions' hash differs");
  } catch (const EngineError& e) { out.differences.emplace_back(e.what()); }
}

}  // namespace

const Gate& gate_of(const std::string& backend) {
  const auto metric = [](const char* name, const char* unit, double gate, double (*of)(const Summary&)) {
    return GateMetric{name, unit, gate, of};
  };
  const auto made = [&](double throughput, double busy, double e2e_mean, double e2e_p50, double ttft_p50,
                        double tpot_p50, double p99) {
    return std::vector<GateMetric>{
        metric("throughput", "req/s", throughput,
               [](const Summary& s) { return static_cast<double>(s.requests[0]) / s.duration_s; }),
        metric("busy time", "s", busy, [](const Summary& s) { return s.busy * s.duration_s; }),
        metric("E2E mean", "ms", e2e_mean, [](const Summary& s) { return 1e3 * s.latencies.e2e.mean; }),
        metric("E2E p50", "ms", e2e_p50, [](const Summary& s) { return 1e3 * s.latencies.e2e.p50; }),
        metric("TTFT p50", "ms", ttft_p50, [](const Summary& s) { return 1e3 * s.latencies.ttft.p50; }),
        metric("TTFT p99", "ms", p99, [](const Summary& s) { return 1e3 * s.latencies.ttft.p99; }),
        metric("E2E p99", "ms", p99, [](const Summary& s) { return 1e3 * s.latencies.e2e.p99; }),
        metric("TPOT p50", "ms", tpot_p50, [](const Summary& s) { return 1e3 * s.latencies.tpot.p50; }),
        metric("ITL p99", "ms", 0, [](const Summary& s) { return 1e3 * s.latencies.itl.p99; })};
  };
  static const Gate cpu{.metrics = made(10, 10, 10, 0, 15, 0, 20), .spread_excuses = true};
  static const Gate gpu{.metrics = made(3, 0, 0, 5, 0, 5, 10), .step_mean = 5, .step_p95 = 10, .drift = 3};
  return backend == "cuda" ? gpu : cpu;
}

double ComparedMetric::median() const { return median_of(measured); }

double ComparedMetric::spread() const {
  const auto [low, high] = std::minmax_element(measured.begin(), measured.end());
  return 100 * (*high - *low) / median();
}

double ComparedMetric::error() const { return 100 * (predicted / median() - 1); }

bool ComparedMetric::holds() const { return metric->gate == 0 || std::abs(error()) <= metric->gate; }

bool BrokenLaw::caught() const {
  return std::any_of(metrics.begin(), metrics.end(), [](const ComparedMetric& m) { return !m.holds(); });
}

Attempt::Verdict verdict_of(const Attempt& a, const Gate& gate) {
  if (a.parity < a.runs) return Attempt::Verdict::kFail;
  if (a.calibration.drift > gate.drift) return Attempt::Verdict::kNoisy;
  bool undecided = false;
  const auto hold = [&](const std::vector<ComparedMetric>& all) {
    return std::all_of(all.begin(), all.end(), [&](const ComparedMetric& m) {
      const bool excused = gate.spread_excuses && m.undecided();
      undecided = undecided || excused;
      return m.holds() || excused;
    });
  };
  const StepError& steps = a.calibration.held_out;
  const bool steps_hold = (gate.step_mean == 0 || steps.mape <= gate.step_mean) &&
                          (gate.step_p95 == 0 || steps.p95 <= gate.step_p95);
  if (!hold(a.metrics) || !hold(a.of_hardware) || !steps_hold) return Attempt::Verdict::kFail;
  return undecided ? Attempt::Verdict::kNoisy : Attempt::Verdict::kPass;
}

std::string settled(const std::vector<Attempt>& attempts) {
  constexpr int kMostFails = 2, kMostNoisy = 3;
  int fails = 0, noisy = 0;
  for (const Attempt& a : attempts) {
    if (a.parity < a.runs) return "FAILED";
    if (a.verdict == Attempt::Verdict::kPass) return "PASSED";
    fails += a.verdict == Attempt::Verdict::kFail;
    noisy += a.verdict == Attempt::Verdict::kNoisy;
  }
  return fails >= kMostFails ? "FAILED" : noisy >= kMostNoisy ? "SKIPPED" : "";
}

Attempt attempt(const ValidateSetup& setup, const std::function<void(const std::string&)>& tell) {
  Attempt out;
  Assembly a = setup.assemble(0);
  const ValidateConfig& c = setup.options;
  const StepCalibrationOptions o = calibration_of(a, c, setup.seed);
  LiveStepEngine engine(*a.deployment.device, {.max_sequences = o.max_sequences, .max_context = o.max_context,
                                               .block_tokens = a.deployment.facts.block_tokens});
  StepCalibrator calibrator(engine, o);
  const auto round = [&] {
    tell("calibration, round " + std::to_string(calibrator.rounds() + 1) + " of " + std::to_string(c.runs + 2));
    calibrator.round();
  };
  round();
  round();
  if (c.load > 0) {
    out.rate = rate_for(setup, c.load, calibrator.result().law, a.workload.rate);
    const auto device = a.deployment.device;   // the calibrated one, with its weights where they lie
    a = setup.assemble(out.rate);
    a.deployment.device = device;
  }
  std::vector<Replication> runs;
  std::vector<std::vector<StepLog>> logs;
  for (std::int64_t i = 0; i < c.runs; ++i) {
    tell("real run " + std::to_string(i + 1) + " of " + std::to_string(c.runs));
    Watch watch;
    watch.measured = &logs.emplace_back();
    runs.push_back(replicate(a, setup.seed, watch));
    check_parity(a, setup.seed, runs.back(), logs.back(), out);
    round();
  }
  tell("fit and simulation");
  out.calibration = calibrator.result();
  const StepLaw& law = out.calibration.law;
  const Replication predicted = simulated(a, setup.seed, law);
  out.load = predicted.outcome.summary.busy;
  out.metrics = compared(*setup.gate, runs, predicted.outcome.summary);
  if (setup.predict) out.of_hardware = compared(*setup.gate, runs, setup.predict(out.rate));
  out.run_steps = run_error(law, logs, out.steps);
  out.broken = broken_laws(setup, a, law, runs);
  out.verdict = verdict_of(out, *setup.gate);
  return out;
}

}  // namespace orrery
