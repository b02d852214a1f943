#include "experiments/validate.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <sstream>

#include "experiments/run.hpp"
#include "experiments/screen.hpp"
#include "experiments/validate_attempt.hpp"
#include "experiments/whole_file.hpp"
#include "hwmodels/catalogue.hpp"
#include "hwmodels/validation.hpp"

namespace orrery {
namespace {

std::string padded(std::string text, std::size_t width, bool left = true) {
  const std::size_t fill = text.size() < width ? width - text.size() : 0;
  return left ? text + std::string(fill, ' ') : std::string(fill, ' ') + text;
}

std::string signed_percent(double x) { return (x >= 0 ? "+" : "-") + significant(std::abs(x), 3) + " %"; }

void print_metrics(const std::vector<ComparedMetric>& metrics, std::ostream& out) {
  out << " " << padded("", 12) << padded("measured", 16, false) << padded("spread", 10, false)
      << padded("predicted", 16, false) << padded("error", 11, false) << "   gate\n";
  for (const ComparedMetric& m : metrics) {
    const std::string unit = " " + std::string(m.metric->unit);
    out << " " << padded(m.metric->name, 12) << padded(significant(m.median(), 4) + unit, 16, false)
        << padded(significant(m.spread(), 3) + " %", 10, false) << padded(significant(m.predicted, 4) + unit, 16, false)
        << padded(signed_percent(m.error()), 11, false) << "   "
        << (m.metric->gate == 0 ? "-" : "+-" + significant(m.metric->gate, 2) + " % " + (m.holds() ? "holds" : "FAILS"))
        << '\n';
  }
}

/// "" or whether step times are within the gate.
std::string step_gate(const StepCalibration& c, const Gate& gate) {
  if (gate.step_mean == 0) return "";
  const bool holds = c.held_out.mape <= gate.step_mean && c.held_out.p95 <= gate.step_p95;
  return " (gate " + significant(gate.step_mean, 2) + " and " + significant(gate.step_p95, 2) + " %: " +
         (holds ? "holds)" : "FAILS)");
}

void print_attempt(const Attempt& a, std::size_t number, const Gate& gate, std::ostream& out) {
  out << "attempt " << number << ": " << name(a.verdict) << " | load " << significant(a.load, 2);
  if (a.rate > 0) out << " at " << significant(a.rate, 4) << " req/s";
  out << ", " << a.runs << " real runs, " << grouped(a.steps) << " steps\n";
  print_metrics(a.metrics, out);
  if (!a.of_hardware.empty()) {
    out << " the config's hardware model:\n";
    print_metrics(a.of_hardware, out);
  }
  const StepCalibration& c = a.calibration;
  out << " step time    held-out batches: mean " << significant(c.held_out.mape, 3) << " %, p95 "
      << significant(c.held_out.p95, 3) << " %" << step_gate(c, gate) << " | steps of the runs: mean "
      << significant(a.run_steps.mape, 3) << " %, p95 " << significant(a.run_steps.p95, 3) << " %, sum "
      << signed_percent(a.run_steps.bias) << " | repeats of a batch differ by " << significant(c.noise, 2) << " %\n"
      << " machine      drift of the sentinels " << significant(c.drift, 3) << " % (more than "
      << significant(gate.drift, 2) << " % is noisy)\n"
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
  if (!a.of_hardware.empty()) v["of_hardware_model"] = value_of(a.of_hardware);
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

/// One comparison: a policy and a load of those that the config lists, and how it went.
struct Cell {
  std::string batching;              ///< "": the config's own
  double load = 0;
  std::vector<Attempt> attempts;
  std::string verdict;
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) out.push_back(name);
  }
  return out;
}

std::vector<Cell> cells_of(const ValidateConfig& c) {
  std::vector<std::string> policies = split(c.batching);
  if (policies.empty()) policies.emplace_back();
  const std::vector<double> loads = c.loads.empty() ? std::vector<double>{c.load} : c.loads;
  std::vector<Cell> out;
  for (const std::string& batching : policies)
    for (const double load : loads) out.push_back({batching, load, {}, ""});
  return out;
}

/// The config with a cell's policy, and with another rate; a workload without a rate is taken as it is.
Document document_of(const ValidateOptions& o, const Cell& cell, double rate) {
  std::vector<std::string> sets = o.sets;
  if (!cell.batching.empty()) sets.push_back("/policy/batching=" + to_json(Value(cell.batching), -1));
  if (rate > 0) sets.push_back("/workload/arrival/rate=" + to_json(Value(rate), -1));
  return load_document(o.config, sets);
}

std::string title(const ValidateOptions& o, const Assembly& a) {
  const DeploymentFacts& f = a.deployment.facts;
  return "validate " + o.config + ": " + f.model + " " + f.dtype + " on " + f.hardware + ", " + f.clock + "\n" +
         a.resolved_policies.at("batching").at("name").as_string() + ", " + a.workload.summary + "\n";
}

/// /hardware of the config as a model of its own: {"name", "cost"}; null where it names none.
Value hardware_of(const Assembly& a) {
  const Value* given = a.config.document.value.find("hardware");
  if (given == nullptr) return {};
  Value v = Value::object();
  if (given->is_string()) v["name"] = given->as_string();
  else v = *given;
  if (v.find("cost") == nullptr) v["cost"] = "operators";
  return v;
}

/// By the config's hardware model, whose numbers are of the format it was measured in.
Summary predicted_by(const ValidateOptions& o, const Cell& cell, double rate) {
  Document document = document_of(o, cell, rate);
  if (const Value* model = document.value.find("model"); model->is_object())
    document.value["model"] = model->at("name");
  const Assembly a = assemble(std::move(document), o.plugins, "model");
  return replicate(a, a.config.seed(), {}).outcome.summary;
}

void compare(const ValidateOptions& o, Cell& cell, std::ostream& out, std::ostream& err) {
  ValidateSetup setup;
  setup.gate = &gate_of(o.backend);
  setup.assemble = [&](double rate) { return assemble(document_of(o, cell, rate), o.plugins, o.backend); };
  const Assembly first = setup.assemble(0);
  setup.options = first.config.validate;
  setup.options.load = cell.load;
  setup.seed = first.config.seed();
  if (setup.options.load > 0 && !(first.workload.rate > 0)) {
    throw ConfigError("/validate/load: needs arrivals with a rate; 0 leaves the workload as it is");
  }
  if (!hardware_of(first).is_null()) {
    setup.predict = [&](double rate) { return predicted_by(o, cell, rate); };
    predicted_by(o, cell, 0);                // its errors are told before hours of measuring
  }
  if (!o.json) out << title(o, first);
  while ((cell.verdict = settled(cell.attempts)).empty()) {
    Teller tell(err);
    cell.attempts.push_back(attempt(setup, std::ref(tell)));
    tell.clear();
    if (!o.json) print_attempt(cell.attempts.back(), cell.attempts.size(), *setup.gate, out);
    out.flush();
  }
}

std::string together(const std::vector<Cell>& cells) {
  for (const char* verdict : {"FAILED", "SKIPPED"})
    if (std::any_of(cells.begin(), cells.end(), [&](const Cell& c) { return c.verdict == verdict; })) return verdict;
  return "PASSED";
}

/// The file of the config's hardware model, which must be one of the user's own.
CatalogueEntry file_to_record(const Assembly& a) {
  const Value hardware = hardware_of(a);
  if (hardware.is_null()) throw ConfigError("--record: the config names no hardware model (/hardware)");
  CatalogueEntry e = find_entry(Catalogue::kGpus, hardware.at("name").as_string(), a.config.search.folders);
  if (e.origin == "built in")
    throw ConfigError("--record: /hardware \"" + e.name + "\" is built in; a record goes into a file of your own");
  return e;
}

ValidationRecord record_of(const ValidateOptions& o, const Assembly& a, const std::vector<Cell>& cells) {
  ValidationRecord r{.date = today(),
                     .machine = "",
                     .backend = o.backend,
                     .model = a.deployment.facts.model,
                     .cost = "",
                     .subject = "",
                     .cells = {}};
  const std::string& hardware = a.deployment.facts.hardware;
  r.machine = hardware.substr(0, hardware.find(" (executor"));
  r.cost = hardware_of(a).at("cost").as_string();
  for (const Cell& cell : cells) {
    const Attempt& passed = cell.attempts.back();
    ValidationRecord::Cell one{cell.batching, passed.load, {}};
    if (one.batching.empty()) one.batching = a.resolved_policies.at("batching").at("name").as_string();
    for (const ComparedMetric& m : passed.of_hardware)
      if (m.metric->gate > 0) one.errors.emplace_back(m.metric->name, m.error());
    r.cells.push_back(std::move(one));
  }
  return r;
}

void write_record(const ValidateOptions& o, const Assembly& a, const std::vector<Cell>& cells, std::ostream& out) {
  const CatalogueEntry entry = file_to_record(a);
  Value file = parse_json_file(entry.origin);
  ValidationRecord record = record_of(o, a, cells);
  record.subject = subject_of(file);
  add_record(file, record);
  write_whole(entry.origin, to_json(file, 1));
  if (!o.json) out << entry.origin << ": recorded: " << record.text() << '\n';
}

Value value_of(const Cell& cell) {
  Value v = Value::object();
  if (!cell.batching.empty()) v["batching"] = cell.batching;
  v["load"] = cell.load;
  v["verdict"] = cell.verdict;
  for (const Attempt& a : cell.attempts) v["attempts"].push_back(value_of(a));
  return v;
}

void print_together(const std::vector<Cell>& cells, std::ostream& out) {
  if (cells.size() == 1) return;
  for (const Cell& c : cells)
    out << padded(c.batching.empty() ? "the config's policy" : c.batching, 22) << "load " << significant(c.load, 2)
        << "  " << c.verdict << '\n';
}

}  // namespace

int validate_verb(const ValidateOptions& o, std::ostream& out, std::ostream& err) {
  std::vector<Cell> cells{{}};
  const Assembly first = assemble(document_of(o, cells.front(), 0), o.plugins, o.backend);   // its device serves all
  if (o.record) file_to_record(first);
  cells = cells_of(first.config.validate);
  for (Cell& cell : cells) compare(o, cell, out, err);
  const std::string verdict = together(cells);
  if (o.json) {
    Value v = Value::object();
    if (cells.size() == 1) v = value_of(cells.front());
    v["verdict"] = verdict;
    for (std::size_t i = 0; cells.size() > 1 && i < cells.size(); ++i) v["cells"].push_back(value_of(cells[i]));
    out << to_json(v) << '\n';
  } else {
    print_together(cells, out);
    out << verdict << (verdict == "SKIPPED" ? ": three attempts were too noisy to tell" : "") << '\n';
  }
  if (o.record && verdict == "PASSED") write_record(o, first, cells, out);
  return verdict == "FAILED" ? kExitMissed : kExitDone;
}

}  // namespace orrery
