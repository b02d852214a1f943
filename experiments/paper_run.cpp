#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <unordered_map>

#include "experiments/assembly.hpp"
#include "experiments/document.hpp"
#include "experiments/paper.hpp"
#include "experiments/summary.hpp"
#include "sim/engine/simulation.hpp"

namespace orrery {
namespace {

double cpu_seconds() {
  std::timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// The largest moving average of each request's gaps between tokens so far (PaperSla). O(1) a token; exact under
/// fast-forward, since the instants of all tokens of a run are known.
class MovingAverages final : public Observer {
 public:
  explicit MovingAverages(std::int64_t span) : keep_(1 - 2 / (static_cast<double>(span) + 1)) {}

  void on_token(CallId, const Call& call, bool first, Time at) override { add(open_[call.number], at, first); }
  void on_tokens(std::span<const CallId> members, std::span<const CallRow> rows, const TokenRun& run) override {
    for (const CallId id : members) {
      Gaps& g = open_[rows[id.index].call.number];
      for (std::int64_t j = 0; j < run.k; ++j) add(g, run.first + run.after(j), false);
    }
  }
  /// Seconds, of a request that is done; 0 if it had one token.
  double worst(std::uint64_t number) {
    const auto at = open_.find(number);
    const double out = at == open_.end() ? 0 : at->second.worst;
    open_.erase(number);
    return out;
  }

 private:
  struct Gaps {
    Time last{};
    double sum = 0, weight = 0, worst = 0;
  };
  void add(Gaps& g, Time at, bool first) const {
    if (first) {
      g = {};
    } else {
      g.sum = to_seconds(at - g.last) + keep_ * g.sum;
      g.weight = 1 + keep_ * g.weight;
      g.worst = std::max(g.worst, g.sum / g.weight);
    }
    g.last = at;
  }

  double keep_;
  std::unordered_map<std::uint64_t, Gaps> open_;
};

/// Measures of the papers that a summary does not have, under /paper: normalised latency (E2E per output token, of
/// requests after the warm-up), makespan, samples a second of the makespan, what kept the service level, and what the
/// mean QoE of all requests lacks of 1.
class PaperMeasures final : public RowSink {
 public:
  explicit PaperMeasures(PaperSla sla) : sla_(sla), averages_(sla.moving_average) {}

  /// Null: no measure needs each token.
  Observer* observer() { return sla_.moving_average > 0 ? &averages_ : nullptr; }

  void row(const Row& r) override {
    if (r.qoe >= 0) {
      ++readers_;
      qoe_ += r.qoe;
    }
    if (r.status != Status::kDone) return;
    rows_.push_back({to_seconds(r.arrival), to_seconds(r.finish),
                     to_seconds(r.e2e()) / static_cast<double>(std::max(1, r.output.value())), keeps(r)});
  }

  Value values(double warmup_s) const {
    std::vector<double> per_token;
    double first = 0, last = 0, good = 0;
    for (const Kept& k : rows_) {
      first = &k == &rows_.front() ? k.arrival : std::min(first, k.arrival);
      last = std::max(last, k.finish);
      good += k.good ? 1 : 0;
      if (k.arrival >= warmup_s) per_token.push_back(k.per_token);
    }
    std::sort(per_token.begin(), per_token.end());
    Value v = Value::object();
    Value& n = v["normalized_latency_s"];
    n["mean"] = mean(per_token);
    n["p50"] = at(per_token, 0.5);
    n["p90"] = at(per_token, 0.9);
    const double span = last - first, count = static_cast<double>(rows_.size());
    if (readers_ > 0) v["qoe_loss"] = 1 - qoe_ / static_cast<double>(readers_);
    v["makespan_s"] = span;
    v["samples_per_s"] = span > 0 ? count / span : 0;
    v["good_fraction"] = count > 0 ? good / count : 0;
    v["effective_per_s"] = span > 0 ? good / span : 0;
    return v;
  }

 private:
  struct Kept {
    double arrival, finish, per_token;
    bool good;
  };

  bool keeps(const Row& r) {
    const double gap = sla_.moving_average > 0   ? averages_.worst(r.number)
                       : r.output.value() > 1 ? to_seconds(r.tpot())
                                              : 0;
    return to_seconds(r.ttft()) * sla_.prompt_rate <= r.prompt.value() && gap * sla_.output_rate <= 1;
  }
  static double mean(const std::vector<double>& sorted) {
    double sum = 0;
    for (const double x : sorted) sum += x;
    return sorted.empty() ? 0 : sum / static_cast<double>(sorted.size());
  }
  static double at(const std::vector<double>& sorted, double p) {
    if (sorted.empty()) return 0;
    return sorted[static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1))];
  }

  PaperSla sla_;
  MovingAverages averages_;
  std::vector<Kept> rows_;
  std::int64_t readers_ = 0;
  double qoe_ = 0;
};

/// Rows of one run go to all that measure.
class RowsToAll final : public RowSink {
 public:
  explicit RowsToAll(std::vector<RowSink*> sinks) : sinks_(std::move(sinks)) {}
  void row(const Row& r) override {
    for (RowSink* s : sinks_) s->row(r);
  }

 private:
  std::vector<RowSink*> sinks_;
};

RunResult run_of(Value config, const std::string& name, Watch watch) {
  config.anchor("");
  const Assembly a = assemble(Document{std::move(config), {name}, "."});
  RunResult r;
  r.deployment = a.deployment.facts;
  r.classes = a.class_names();
  if (!a.pools.empty()) r.pools = pools_summary(a.pools);
  r.placement = a.placement;
  r.replications.push_back(replicate(a, a.config.seed(), watch));
  if (const Summary& s = r.first(); !s.broken.empty()) throw EngineError(name + ": " + s.broken.front());
  return r;
}

/// One run of a config document, to its summary. `alone`: the reference deployment under the same workload, or null.
Value summary_of_run(Value config, const std::string& name, const PaperExperiment& e, const Value* alone) {
  PaperMeasures measures(e.sla);
  RequestTimes times, times_alone;
  if (alone != nullptr) {
    Watch watch;
    watch.rows = &times_alone;
    run_of(one_at_a_time(*alone), name + ", one at a time", watch);
    if (times_alone.overlap()) throw ConfigError("a request alone takes more than 200 s");
  }
  RowsToAll rows(alone != nullptr ? std::vector<RowSink*>{&measures, &times} : std::vector<RowSink*>{&measures});
  Watch watch;
  watch.rows = &rows;
  watch.observer = measures.observer();
  const RunResult r = run_of(std::move(config), name, watch);
  Value out = summary_of(r);
  out["paper"] = measures.values(r.first().warmup_s);
  if (alone != nullptr) out["paper"]["slowdown"] = slowdowns(times, times_alone, e.slowdown, r.first().warmup_s);
  return out;
}

const Value& at_pointer(const Value& summary, const std::string& config, const std::string& pointer) {
  const Value* v = &summary;
  for (std::size_t from = 1; from <= pointer.size();) {
    const std::size_t to = std::min(pointer.find('/', from), pointer.size());
    const std::string key = pointer.substr(from, to - from);
    const bool index = v->is_array() && !key.empty() && key.find_first_not_of("0123456789") == std::string::npos;
    if (index) v = key.size() < 9 && std::stoul(key) < v->items().size() ? &v->items()[std::stoul(key)] : nullptr;
    else v = v->find(key);
    if (v == nullptr) throw ConfigError(config + ":" + pointer + ": the summary has no such value");
    from = to + 1;
  }
  if (!v->is_number()) throw ConfigError(config + ":" + pointer + ": expected a number, got " + brief(*v));
  return *v;
}

/// Runs each config once, however often expressions ask for it.
class Runs final : public PaperRuns {
 public:
  explicit Runs(const PaperExperiment& e) : experiment_(e) {}

  double value(const std::string& config, const std::vector<std::string>& sets, const std::string& pointer) override {
    return at_pointer(summary(config, sets), config, pointer).as_double();
  }

  double max_count(const std::string& config, const std::vector<std::string>& sets,
                   const std::function<bool(const std::vector<std::string>&)>& holds) override {
    const PaperCount& c = experiment_.count;
    const auto holds_at = [&](std::int64_t count) {
      std::vector<std::string> with_count = sets;
      for (const auto& [pointer, factor] : c.sets) {
        const double value = factor * static_cast<double>(count);
        const auto whole = static_cast<std::int64_t>(value + 0.5);
        const bool integer = std::abs(value - static_cast<double>(whole)) < 1e-9 * value;
        with_count.push_back(pointer + "=" + (integer ? std::to_string(whole) : to_json(Value(value), -1)));
      }
      return holds(with_count);
    };
    std::int64_t low = c.low, high = c.high;
    if (!holds_at(low)) throw ConfigError("/count/low: " + config + " misses its limits at this count already");
    if (holds_at(high)) throw ConfigError("/count/high: " + config + " still holds at this count");
    while (high > low + 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (holds_at(middle) ? low : high) = middle;
    }
    return static_cast<double>(low);
  }

  /// Bisection in the logarithm; every rate is simulated for the same time.
  double max_rate(const std::string& config, const std::vector<std::string>& sets,
                  const std::function<bool(const std::vector<std::string>&)>& holds) override {
    const PaperSearch& s = experiment_.search;
    const auto holds_at = [&](double rate) {
      std::vector<std::string> with_rate = sets;
      with_rate.push_back("/workload/arrival/rate=" + to_json(Value(rate), -1));
      with_rate.push_back("/workload/requests=" +
                          std::to_string(static_cast<std::int64_t>(std::ceil(rate * s.seconds))));
      return holds(with_rate);
    };
    double low = s.low, high = s.high;
    if (!holds_at(low)) throw ConfigError("/search/low: " + config + " misses its limits at this rate already");
    if (holds_at(high)) throw ConfigError("/search/high: " + config + " still holds at this rate");
    while (high > low * (1 + s.tolerance)) {
      const double middle = std::sqrt(low * high);
      (holds_at(middle) ? low : high) = middle;
    }
    return low;
  }

 private:
  const Value& summary(const std::string& config, const std::vector<std::string>& sets) {
    std::string key = config;
    for (const std::string& s : sets) key += " " + s;
    const auto known = done_.find(key);
    if (known != done_.end()) return known->second;
    const Value document = document_of(config, sets);
    const bool compared = !experiment_.slowdown.alone.empty();
    Value alone;
    if (compared) {
      alone = document_of(experiment_.slowdown.alone, {});
      alone["workload"] = document.at("workload");
    }
    try {
      return done_[key] =
                 summary_of_run(document, experiment_.name + "/" + key, experiment_, compared ? &alone : nullptr);
    } catch (const ConfigError& e) {
      throw ConfigError(experiment_.name + ", config " + key + ":\n" + e.what());
    }
  }

  Value document_of(const std::string& config, const std::vector<std::string>& sets) const {
    const auto named = std::find_if(experiment_.configs.begin(), experiment_.configs.end(),
                                    [&](const auto& c) { return c.first == config; });
    Value document = named->second;
    for (const std::string& s : sets) apply_set(document, s);
    return document;
  }

  const PaperExperiment& experiment_;
  std::map<std::string, Value> done_;
};

std::string missing_file(const PaperExperiment& e) {
  const SearchPath path = search_path_for(Document{Value::object(), {e.name}, "."});
  for (const std::string& file : e.needs) {
    if (!path.find(file)) return file;
  }
  return "";
}

}  // namespace

PaperResult run_paper(const PaperExperiment& experiment) {
  PaperResult r;
  r.experiment = &experiment;
  r.missing = missing_file(experiment);
  r.checks.resize(experiment.checks.size());
  if (!r.missing.empty()) return r;
  const double start = cpu_seconds();
  Runs runs(experiment);
  for (std::size_t i = 0; i < experiment.checks.size(); ++i) {
    const PaperCheck& c = experiment.checks[i];
    PaperOutcome& o = r.checks[i];
    if (c.expect == Verdict::kNeedsGpu) {
      o.verdict = Verdict::kNeedsGpu;
      o.control_leaves = true;
      continue;
    }
    o.ours = c.metric.evaluate(runs);
    o.control = c.control.evaluate(runs);
    o.verdict = c.band.has(o.ours) ? Verdict::kHolds : Verdict::kDiffers;
    o.control_leaves = !c.band.has(o.control);
  }
  for (const PaperColumn& c : experiment.columns) r.columns.push_back(c.metric.evaluate(runs));
  r.seconds = cpu_seconds() - start;
  return r;
}

}  // namespace orrery
