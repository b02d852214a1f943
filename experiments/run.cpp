#include "experiments/run.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <ostream>

#include "experiments/assembly.hpp"
#include "experiments/charges.hpp"
#include "experiments/conventions.hpp"
#include "experiments/clairvoyant.hpp"
#include "experiments/max_rate.hpp"
#include "experiments/output.hpp"
#include "experiments/perfetto.hpp"
#include "experiments/screen.hpp"
#include "experiments/summary.hpp"
#include "sim/metrics/rows_csv.hpp"

namespace orrery {
namespace {

std::atomic<bool> interrupted{false};

extern "C" void on_interrupt(int) {
  interrupted.store(true, std::memory_order_relaxed);
  std::signal(SIGINT, SIG_DFL);  // a second one ends the program at once
}

/// SIGINT means "stop and tell what there is" while this lives.
class InterruptGuard {
 public:
  InterruptGuard() : before_(std::signal(SIGINT, on_interrupt)) { interrupted = false; }
  ~InterruptGuard() { std::signal(SIGINT, before_); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void (*before_)(int);
};

/// "12,000 of 20,000 requests, 1,003 s simulated" on one line of the terminal, about ten times a second.
class Progress {
 public:
  Progress(std::ostream& err, bool wanted, std::int64_t requests)
      : err_(err), active_(wanted && ::isatty(STDERR_FILENO) == 1), requests_(requests) {}
  ~Progress() {
    if (shown_) err_ << "\r\033[K" << std::flush;
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  std::function<void(Time, std::int64_t)> watcher(std::size_t number, std::size_t of) {
    if (!active_) return {};
    return [this, number, of](Time now, std::int64_t arrived) {
      const auto wall = std::chrono::steady_clock::now();
      if (wall - last_ < std::chrono::milliseconds(100)) return;
      last_ = wall;
      shown_ = true;
      err_ << '\r' << (of > 1 ? "replication " + std::to_string(number + 1) + " of " + std::to_string(of) + ": " : "")
           << grouped(arrived) << (requests_ > 0 ? " of " + grouped(requests_) : "") << " requests, "
           << grouped(static_cast<std::int64_t>(to_seconds(now))) << " s simulated\033[K" << std::flush;
    };
  }

 private:
  std::ostream& err_;
  bool active_, shown_ = false;
  std::int64_t requests_;
  std::chrono::steady_clock::time_point last_{};
};

double cpu_seconds() {
  std::timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

std::int64_t peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

/// Options that are keys of the config become --set, so that config.json has them.
std::vector<std::string> all_sets(const RunOptions& o) {
  std::vector<std::string> sets = o.sets;
  if (o.seed) sets.push_back("/seed=" + std::to_string(*o.seed));
  if (o.seeds) sets.push_back("/replication/seeds=" + std::to_string(*o.seeds));
  if (o.no_rows) sets.emplace_back("/rows=false");
  return sets;
}

void refuse_what_is_not_there(const RunOptions& o) {
  if (!o.timeline.empty() && o.out.empty()) throw ConfigError("--timeline: needs --out DIR for its file");
}

/// A limit on a metric that a convention does not have cannot be judged.
void check_convention(const RunConfig& c, const std::string& convention) {
  ErrorList errors;
  for (const SloLimit& l : c.slo) {
    const bool missing = (convention == "aiperf" && l.metric == Metric::kTpot) ||
                         (convention == "mlperf" && l.metric == Metric::kItl);
    if (missing) errors.add("/slo/" + slo_key(l), "--metrics " + convention + " has no such metric");
  }
  errors.throw_if_any();
}

/// "sarathi (token_budget 512, max_running 128)": the parameters that the config states, and the usual limits.
std::string policy_text(const Value& resolved, const PolicyChoice& choice) {
  std::string parameters;
  for (const Value::Member& m : resolved.members()) {
    const bool limit = m.first == "token_budget" || m.first == "max_running" || m.first == "reserve";
    if (m.first == "name" || !(limit || choice.parameters.find(m.first) != nullptr)) continue;
    const std::string value = m.second.is_string() ? m.second.as_string() : to_json(m.second, -1);
    parameters += (parameters.empty() ? "" : ", ") + m.first + " " + value;
  }
  return resolved.at("name").as_string() + (parameters.empty() ? "" : " (" + parameters + ")");
}

/// The same of pools: one text where all agree, else each pool's.
std::string policy_text(const Assembly& a, const char* slot, PolicyChoice PolicyChoices::*choice) {
  if (a.pools.empty()) return policy_text(a.resolved_policies.at(slot), a.config.policy.*choice);
  std::string each;
  bool alike = true;
  const auto text_of = [&](const PoolAssembly& p) {
    return policy_text(p.resolved_policies.at(slot), p.config.policy.*choice);
  };
  const std::string first = text_of(a.pools.front());
  for (const PoolAssembly& p : a.pools) {
    alike = alike && text_of(p) == first;
    each += (each.empty() ? "" : ", ") + p.name + " " + text_of(p);
  }
  return alike ? first : each;
}

void add_facts(const Assembly& a, RunResult& r) {
  r.deployment = a.deployment.facts;
  r.inputs = a.deployment.inputs;
  for (const auto& i : a.workload.inputs) {
    const std::string name = std::filesystem::path(i.path).filename().string();
    r.inputs.push_back({"workload (" + i.format + ")", name, i.path, hex16(i.content_hash)});
  }
  r.plugins = a.config.plugins;
  r.classes = a.class_names();
  r.batching = policy_text(a, "batching", &PolicyChoices::batching);
  r.order = policy_text(a, "order", &PolicyChoices::order);
  r.kv = policy_text(a, "kv", &PolicyChoices::kv);
  r.router = policy_text(a.resolved_policies.at("router"), a.config.policy.router);
  if (!a.pools.empty()) {
    if (const Value* cluster = a.resolved_policies.find("cluster"); cluster != nullptr)
      r.cluster = policy_text(*cluster, a.config.policy.cluster);
    r.pools = pools_summary(a.pools);
    r.placement = a.placement;
  }
  if (!a.config.signals.price.empty()) r.priced_by = "/signals/price";
  r.random = a.random();
  r.workload = a.workload.summary;
  r.workload_notes = a.workload.notes;
  if (a.workload.shares_prefixes && a.config.engine.prefix_cache == "none")
    r.workload_notes.emplace_back(
        "prompts have prefixes in common, all computed again: /engine/prefix_cache is \"none\"");
  r.resolved = resolved_config(a);
  Value hashed = r.resolved;
  hashed.erase("// found");
  r.config_hash = hash_text(to_json(hashed, -1));
}

/// Why a run has no intervals.
std::string interval_note(const RunResult& r) {
  if (r.random.empty()) {
    return "none: nothing in this run is random (a trace under deterministic policies); /replication/resample "
           "bootstraps it";
  }
  return "none: one replication; --seeds K gives them";
}

/// Files of one run, if they are wanted.
struct Files {
  std::unique_ptr<OutputFolder> folder;
  std::unique_ptr<RequestsCsv> rows;
  std::unique_ptr<TimelineCsv> timeline;
  std::unique_ptr<ActionsCsv> actions;
  std::unique_ptr<PerfettoTrace> trace;
  std::vector<std::string> pool_of;

  void open(const RunOptions& o) {
    const TimeSpan span = o.timeline.empty() ? TimeSpan{} : parse_span(o.timeline);
    if (!o.out.empty()) folder = std::make_unique<OutputFolder>(o.out, o.force);
    if (!o.timeline.empty()) trace = std::make_unique<PerfettoTrace>(folder->file("timeline.perfetto-trace"), span);
  }
  void open_tables(const Assembly& a) {
    if (folder == nullptr) return;
    std::vector<std::string> models = a.workload.models;
    models.front() = a.deployment.facts.model;   // of requests that name none
    pool_of = a.pool_of_stations();
    CsvNames names{a.workload.tenants, a.config.classes.empty() ? a.workload.classes : a.class_names(),
                   std::move(models), "main", pool_of};
    names.joules = charges_requests(a);
    names.usd = names.joules && (a.deployment.facts.usd_per_hour > 0 || !a.config.signals.price.empty());
    names.grams = a.config.signals.carbon.has_value();
    if (a.config.global.rows) rows = std::make_unique<RequestsCsv>(folder->file("requests.csv"), names);
    const DeploymentFacts& f = a.deployment.facts;
    TimelineCsv::Config scale;
    scale.replicas = static_cast<int>(f.replicas);
    scale.stages = a.deployment.cost != nullptr ? a.deployment.cost->stages() : 1;
    scale.blocks = f.blocks_total();
    scale.idle_milliwatts = static_cast<std::int64_t>(f.idle_watts * 1e3);
    const bool by_node = a.capacity && a.config.capacity.usd_per_hour > 0;
    scale.usd_per_hour = by_node ? 0 : f.usd_per_hour;   // nodes come during the run
    timeline = std::make_unique<TimelineCsv>(folder->file("timeline.csv"), scale);
    actions = std::make_unique<ActionsCsv>(folder->file("actions.csv"), a.pool_of_stations());
  }
  void finish(const RunResult& r, const Value& summary) {
    if (folder == nullptr) return;
    if (rows) rows->close();
    timeline->close();
    if (trace) trace->close();
    const Outcome& first = r.replications.front().outcome;
    if (first.charges) write_replicas(folder->file("replicas.csv"), first, pool_of);
    folder->write("config.json", to_json(r.resolved) + "\n");
    folder->write("summary.json", to_json(summary) + "\n");
    actions->close();
    folder->commit();
  }
};

/// Rows go to the file and to what is derived from them.
class RowTee final : public RowSink {
 public:
  void add(RowSink* sink) {
    if (sink != nullptr) sinks_.push_back(sink);
  }
  bool empty() const { return sinks_.empty(); }
  void row(const Row& r) override {
    for (RowSink* s : sinks_) s->row(r);
  }

 private:
  std::vector<RowSink*> sinks_;
};

/// One run of a result: an own seed, a resample of the trace, or a drawn cost model.
struct Job {
  std::vector<Replication>* to;
  std::uint64_t seed;
  bool resample, draw_cost;
};

/// The result's own replications first. A trace that is resampled, and one where only the cost model is drawn, is
/// itself run once.
std::vector<Job> jobs_of(const Assembly& a, RunResult& r) {
  const ReplicationConfig& c = a.config.replication;
  const auto k = static_cast<std::uint64_t>(c.seeds);
  const bool seeds_matter = !a.resamples() && r.random.size() > (c.model_error ? 1u : 0u);
  const std::uint64_t first = a.config.seed();
  std::vector<Job> jobs;
  for (std::uint64_t i = 0; i < (seeds_matter ? k : 1); ++i) jobs.push_back({&r.replications, first + i, false, false});
  if (k < 2) return jobs;
  for (std::uint64_t i = 0; i < k && a.resamples(); ++i) jobs.push_back({&r.resamples, first + i, true, false});
  for (std::uint64_t i = 0; i < k && c.model_error; ++i) jobs.push_back({&r.perturbed, first + i, false, true});
  return jobs;
}

void run_replications(const Assembly& a, const RunOptions& o, Files& files, std::ostream& err, RunResult& r) {
  InterruptGuard guard;
  Progress progress(err, !o.quiet, a.workload.requests);
  const std::vector<Job> jobs = jobs_of(a, r);
  for (std::size_t i = 0; i < jobs.size() && !interrupted; ++i) {
    const auto convention = make_convention(o.metrics);
    RowTee rows;
    rows.add(convention.get());
    if (i == 0) rows.add(files.rows.get());
    if (i == 0) rows.add(files.trace.get());
    Watch watch;
    watch.exact = o.exact;
    watch.fast_forward = !o.no_fast_forward;
    watch.verify_fast_forward = o.verify_fast_forward;
    watch.resample = jobs[i].resample;
    watch.draw_cost = jobs[i].draw_cost;
    watch.interrupt = &interrupted;
    watch.progress = progress.watcher(i, jobs.size());
    if (!rows.empty()) watch.rows = &rows;
    if (i == 0 && files.timeline != nullptr) watch.timeline = files.timeline.get();
    if (i == 0) watch.actions = files.actions.get();
    Replication one = replicate(a, jobs[i].seed, watch);
    if (i > 0 && one.outcome.interrupted) break;  // a part of a replication is no replication
    if (convention != nullptr) convention->apply(one.outcome.summary);
    jobs[i].to->push_back(std::move(one));
  }
  r.interrupted = interrupted;
}

void check_identities(const RunResult& r) {
  std::string broken;
  for (const auto* part : {&r.replications, &r.resamples, &r.perturbed}) {
    for (const Replication& one : *part) {
      for (const std::string& b : one.outcome.summary.broken) {
        broken +=
            (broken.empty() ? "" : "\n") + b + " (seed " + std::to_string(one.seed) + "; repeat: " + r.command + ")";
      }
    }
  }
  if (!broken.empty()) throw EngineError(broken);
}

void check_max_rate(const Assembly& a, const RunOptions& o) {
  if (o.clairvoyant && o.executor != "model")
    throw ConfigError("--clairvoyant: compares simulations; a live executor is measured");
  if (!o.max_rate) return;
  if (o.executor != "model") throw ConfigError("--max-rate: searches by simulation; a live executor has one speed");
  const std::string obstacle = max_rate_obstacle(a);
  if (!obstacle.empty()) throw ConfigError("--max-rate: " + obstacle);
}

/// Of runs beside the result's own.
Watch further_runs(const RunOptions& o) {
  Watch watch;
  watch.exact = o.exact;
  watch.fast_forward = !o.no_fast_forward;
  watch.interrupt = &interrupted;
  return watch;
}

/// Once for each seed of the result.
void search_rate(const Assembly& a, const RunOptions& o, RunResult& r) {
  InterruptGuard guard;
  std::vector<std::uint64_t> seeds;
  for (const Replication& one : r.replications) seeds.push_back(one.seed);
  r.max_rate = find_max_rate(a, seeds, further_runs(o), o.metrics);
  r.interrupted = interrupted;
}

void compare_clairvoyant(const Assembly& a, const RunOptions& o, RunResult& r) {
  InterruptGuard guard;
  r.clairvoyant = run_clairvoyant(a, r.replications, further_runs(o), o.metrics);
  r.interrupted = interrupted;
}

RunResult simulate(const Assembly& a, const RunOptions& o, Files& files, std::ostream& err) {
  RunResult r;
  const auto wall = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  r.config_path = a.config.document.files.front();
  r.command = o.command;
  r.metrics = o.metrics;
  add_facts(a, r);
  run_replications(a, o, files, err, r);
  if (o.max_rate && !r.interrupted) search_rate(a, o, r);
  if (o.clairvoyant && !r.interrupted) compare_clairvoyant(a, o, r);
  r.interval_note = interval_note(r);
  r.simulator.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  r.simulator.cpu_s = cpu_seconds() - cpu;
  r.simulator.peak_rss_bytes = peak_rss();
  check_identities(r);
  return r;
}

/// " out        DIR: config.json requests.csv ...", for the screen.
std::string files_line(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  std::string out = " out        " + folder + ":";
  for (const std::string& name : names) out += " " + name;
  return out + "\n";
}

/// `more`: lines for the screen, before a missed SLO, which comes last.
int report(const RunResult& r, const Value& summary, const RunOptions& o, std::ostream& out, const std::string& more) {
  const std::string missed = missed_slo(summary);
  if (o.json) {
    out << to_json(summary) << '\n';
  } else if (!o.quiet) {
    out << screen_of(summary, more);
  } else if (!missed.empty()) {
    out << missed << '\n';
  }
  if (r.interrupted) return kExitCannotRun;
  return missed.empty() ? kExitDone : kExitMissed;
}

}  // namespace

int run_verb(const RunOptions& o, std::ostream& out, std::ostream& err) {
  refuse_what_is_not_there(o);
  Files files;
  files.open(o);
  const Assembly a = assemble(load_document(o.config, all_sets(o)), o.plugins, o.executor);
  check_convention(a.config, o.metrics);
  check_max_rate(a, o);
  files.open_tables(a);
  const RunResult r = simulate(a, o, files, err);
  const Value summary = summary_of(r);
  files.finish(r, summary);
  if (r.interrupted) err << "orrery: interrupted; the result is of the part that was simulated\n";
  return report(r, summary, o, out, o.out.empty() ? "" : files_line(o.out));
}

int rerun_verb(const std::string& folder, const RunOptions& options, std::ostream& out, std::ostream& err) {
  const std::string config = folder + "/config.json";
  const Value before = parse_json_file(folder + "/summary.json");
  if (const Value* executor = find_path(before, "deployment.executor");
      executor != nullptr && executor->as_string() != "model") {
    throw ConfigError(folder + ": measured (executor " + executor->as_string() +
                      "); a measurement cannot be repeated exactly");
  }
  RunOptions o = options;
  o.config = config;
  o.metrics = before.at("metrics_convention").as_string();
  Document document = load_document(config, {});
  const Assembly a = assemble(std::move(document), o.plugins);
  Files none;
  const RunResult r = simulate(a, o, none, err);
  const Value summary = summary_of(r);
  const std::string was = before.at("fingerprint").as_string(), is = summary.at("fingerprint").as_string();
  if (was == is && !r.interrupted) return report(r, summary, o, out, " rerun      fingerprint " + is + ", the same\n");
  report(r, summary, o, out, "");
  if (r.interrupted) return kExitCannotRun;
  throw ConfigError("rerun: fingerprint " + is + " differs from " + was + " of " + folder + " (version " +
                    before.at("provenance").at("version").as_string() + ", this is " + ORRERY_VERSION + ")");
}

}  // namespace orrery
