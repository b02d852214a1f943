#include "experiments/validate.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "experiments/run.hpp"
#include "experiments/screen.hpp"
#include "experiments/validate_attempt.hpp"

namespace orrery {
namespace {

std::string padded(std::string text, std::size_t width, bool left = true) {
  const std::size_t fill = text.size() < width ? width - text.size() : 0;
  return left ? text + std::string(fill, ' ') : std::string(fill, ' ') + text;
}

std::string signed_percent(double x) { return (x >= 0 ? "+" : "-") + significant(std::abs(x), 3) + " %"; }

void print_metrics(const Attempt& a, std::ostream& out) {
  out << " " << padded("", 12) << padded("measured", 16, false) << padded("spread", 10, false)
      << padded("predicted", 16, false) << padded("error", 11, false) << "   gate\n";
  for (const ComparedMetric& m : a.metrics) {
    const std::string unit = " " + std::string(m.metric->unit);
    out << " " << padded(m.metric->name, 12) << padded(significant(m.median(), 4) + unit, 16, false)
        << padded(significant(m.spread(), 3) + " %", 10, false) << padded(significant(m.predicted, 4) + unit, 16, false)
        << padded(signed_percent(m.error()), 11, false) << "   "
        << (m.metric->gate == 0 ? "-" : "+-" + significant(m.metric->gate, 2) + " % " + (m.holds() ? "holds" : "FAILS"))
        << '\n';
  }
}

void print_attempt(const Attempt& a, std::size_t number, std::ostream& out) {
  out << "attempt " << number << ": " << name(a.verdict) << " | load " << significant(a.load, 2);
  if (a.rate > 0) out << " at " << significant(a.rate, 4) << " req/s";
  out << ", " << a.runs << " real runs, " << grouped(a.steps) << " steps\n";
  print_metrics(a, out);
  const StepCalibration& c = a.calibration;
  out << " step time    held-out batches: mean " << significant(c.held_out.mape, 3) << " %, p95 "
      << significant(c.held_out.p95, 3) << " % | steps of the runs: mean " << significant(a.run_steps.mape, 3)
      << " %, p95 " << significant(a.run_steps.p95, 3) << " %, sum " << signed_percent(a.run_steps.bias)
      << " | repeats of a batch differ by " << significant(c.noise, 2) << " %\n"
      << " machine      drift of the sentinels " << significant(c.drift, 3) << " % (more than 10 % is noisy)\n"
      << " decisions    " << a.parity << " of " << a.runs
      << " runs decide the same when their times are replayed in the simulator\n";
  for (const std::string& d : a.differences) out << "              DIFFERENT: " << d << '\n';
  out << " sensitivity ";
  for (const BrokenLaw& b : a.broken) out << " " << b.what << (b.caught() ? ": caught;" : ": NOT NOTICED by the gate;");
  out << '\n';
}

Value value_of(const std::vector<ComparedMetric>& metrics) {
  Value v = Value::object();
  for (const ComparedMetric& m : metrics) {
    Value& one = v[m.metric->name];
    one["unit"] = m.metric->unit;
    one["measured"] = m.median();
    one["runs"] = Value::array();
    for (const double x : m.measured) one["runs"].push_back(x);
    one["spread_percent"] = m.spread();
    one["predicted"] = m.predicted;
    one["error_percent"] = m.error();
    if (m.metric->gate > 0) one["gate_percent"] = m.metric->gate;
    one["holds"] = m.holds();
  }
  return v;
}

Value value_of(const Attempt& a) {
  Value v = Value::object();
  v["verdict"] = name(a.verdict);
  v["load"] = a.load;
  if (a.rate > 0) v["rate_per_s"] = a.rate;
  v["metrics"] = value_of(a.metrics);
  v["steps"]["count"] = a.steps;
  for (const auto& [key, e] : {std::pair{"held_out", &a.calibration.held_out}, std::pair{"of_runs", &a.run_steps}}) {
    v["steps"][key]["mean_percent"] = e->mape;
    v["steps"][key]["p95_percent"] = e->p95;
    v["steps"][key]["bias_percent"] = e->bias;
  }
  v["steps"]["repeat_noise_percent"] = a.calibration.noise;
  v["drift_percent"] = a.calibration.drift;
  v["decisions"]["runs"] = a.runs;
  v["decisions"]["equal"] = a.parity;
  for (const std::string& d : a.differences) v["decisions"]["differences"].push_back(d);
  for (const BrokenLaw& b : a.broken) {
    v["broken"][b.what]["caught"] = b.caught();
    v["broken"][b.what]["metrics"] = value_of(b.metrics);
  }
  return v;
}

class Teller {
 public:
  explicit Teller(std::ostream& err) : err_(err), active_(::isatty(STDERR_FILENO) == 1) {}
  void clear() {
    if (active_) err_ << "\r\033[K" << std::flush;
  }
  void operator()(const std::string& what) {
    if (active_) err_ << '\r' << what << "\033[K" << std::flush;
  }

 private:
  std::ostream& err_;
  bool active_;
};

/// The rate of the config's arrivals replaced; a workload without a rate is taken as it is.
Assembly assemble_at(const ValidateOptions& o, double rate) {
  std::vector<std::string> sets = o.sets;
  if (rate > 0) sets.push_back("/workload/arrival/rate=" + to_json(Value(rate), -1));
  return assemble(load_document(o.config, sets), o.plugins, o.backend);
}

std::string title(const ValidateOptions& o, const Assembly& a) {
  const DeploymentFacts& f = a.deployment.facts;
  return "validate " + o.config + ": " + f.model + " " + f.dtype + " on " + f.hardware + ", " + f.clock + "\n" +
         a.resolved_policies.at("batching").at("name").as_string() + ", " + a.workload.summary + "\n";
}

}  // namespace

int validate_verb(const ValidateOptions& o, std::ostream& out, std::ostream& err) {
  ValidateSetup setup;
  setup.assemble = [&](double rate) { return assemble_at(o, rate); };
  const Assembly first = setup.assemble(0);
  setup.options = first.config.validate;
  setup.seed = first.config.seed();
  if (setup.options.load > 0 && !(first.workload.rate > 0)) {
    throw ConfigError("/validate/load: needs arrivals with a rate; 0 leaves the workload as it is");
  }
  if (!o.json) out << title(o, first);
  std::vector<Attempt> attempts;
  std::string verdict;
  while ((verdict = settled(attempts)).empty()) {
    Teller tell(err);
    attempts.push_back(attempt(setup, std::ref(tell)));
    tell.clear();
    if (!o.json) print_attempt(attempts.back(), attempts.size(), out);
    out.flush();
  }
  if (o.json) {
    Value v = Value::object();
    v["verdict"] = verdict;
    for (const Attempt& a : attempts) v["attempts"].push_back(value_of(a));
    out << to_json(v) << '\n';
  } else {
    out << verdict << (verdict == "SKIPPED" ? ": three attempts were too noisy to tell" : "") << '\n';
  }
  return verdict == "FAILED" ? kExitMissed : kExitDone;
}

}  // namespace orrery
