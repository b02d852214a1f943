#include "tests/twin/engine_run.hpp"

#include <memory>
#include <sstream>
#include <stdexcept>

namespace orrery {
namespace {

class Collector final : public RowSink, public DecisionSink {
 public:
  explicit Collector(TwinResult& result) : result_(result) {}

  void row(const Row& r) override {
    TwinRow row;
    row.number = r.number;
    row.arrival = r.arrival;
    row.first_schedule = r.first_schedule;
    row.first_token = r.first_token;
    row.finish = r.finish;
    row.prompt = r.prompt.value();
    row.output = r.output.value();
    row.cached = r.cached.value();
    row.station = r.station.index;
    row.preemptions = r.preemptions;
    row.retries = r.retries;
    row.qoe = r.qoe;
    row.status = r.status == Status::kDone       ? TwinStatus::kDone
                 : r.status == Status::kRejected ? TwinStatus::kRejected
                 : r.status == Status::kFailed   ? TwinStatus::kFailed
                 : r.status == Status::kCancelled ? TwinStatus::kCancelled
                 : r.status == Status::kTimedOut  ? TwinStatus::kTimedOut
                                                 : TwinStatus::kInFlight;
    result_.rows.push_back(row);
  }

  void decision(Time now, const DecisionRecord& d) override {
    result_.decisions.push_back({kind(d.kind), now, d.station, d.lane, d.clock, d.number, d.tokens});
  }

 private:
  static TwinDecision::Kind kind(Decision d) {
    switch (d) {
      case Decision::kAdmit: return TwinDecision::kAdmit;
      case Decision::kChunk: return TwinDecision::kChunk;
      case Decision::kRecompute: return TwinDecision::kRecompute;
      case Decision::kSwap: return TwinDecision::kSwap;
      case Decision::kRestart: return TwinDecision::kRestart;
      case Decision::kFail: return TwinDecision::kFail;
      case Decision::kResume: return TwinDecision::kResume;
      case Decision::kPause: return TwinDecision::kPause;
      case Decision::kCancel: return TwinDecision::kCancel;
      default: throw std::logic_error("the engine decided something that the twin does not know");
    }
  }
  TwinResult& result_;
};

std::string text(Time t) { return t == kNever ? "never" : duration_text(t.time_since_epoch()); }

std::string text(const TwinRow& r) {
  std::ostringstream out;
  out << "#" << r.number << " arrival " << text(r.arrival) << " schedule " << text(r.first_schedule) << " first "
      << text(r.first_token) << " finish " << text(r.finish) << " prompt " << r.prompt << " output " << r.output
      << " cached " << r.cached << " station " << r.station << " preemptions " << r.preemptions << " retries "
      << r.retries << " qoe " << r.qoe << " status " << static_cast<int>(r.status);
  return out.str();
}

std::string text(const TwinDecision& d) {
  constexpr const char* kinds[] = {"recompute", "swap",  "restart", "fail",  "resume",
                                   "admit",     "chunk", "pause",   "cancel"};
  std::ostringstream out;
  out << text(d.time) << " station " << d.station << " lane " << d.lane << " clock " << d.clock << " " << kinds[d.kind]
      << " #" << d.number << " tokens " << d.tokens;
  return out.str();
}

template <class T>
std::string first_difference(const char* what, const std::vector<T>& a, const std::vector<T>& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size() && i < b.size() && a[i] == b[i]) continue;
    return std::string(what) + " " + std::to_string(i) + "\n  a: " + (i < a.size() ? text(a[i]) : "none") +
           "\n  b: " + (i < b.size() ? text(b[i]) : "none") + "\n";
  }
  return {};
}

template <class T>
void compare(std::string& out, const char* what, const T& a, const T& b) {
  if (a == b) return;
  std::ostringstream line;
  line.precision(17);
  line << what << ": ";
  if constexpr (std::is_same_v<T, Wide>) line << static_cast<double>(a) << " and " << static_cast<double>(b);
  else line << a << " and " << b;
  out += line.str() + "\n";
}

void compare_quantiles(std::string& out, const std::string& what, const Quantiles& a, const Quantiles& b) {
  compare(out, (what + ".count").c_str(), a.count, b.count);
  compare(out, (what + ".mean").c_str(), a.mean, b.mean);
  compare(out, (what + ".p50").c_str(), a.p50, b.p50);
  compare(out, (what + ".p99").c_str(), a.p99, b.p99);
  compare(out, (what + ".max").c_str(), a.max, b.max);
}

}  // namespace

Outcome run_engine(const Scenario& scenario, RequestSource& source, const EngineOptions& options, RowSink* rows,
                   DecisionSink* decisions, Observer* also) {
  ScenarioPolicies policies(scenario);
  SimulationParts parts;
  ModelExecutor executor(policies.cost);
  StationParts station;
  station.kv_policy = policies.kv.get();
  station.executor = &executor;
  station.cost = &policies.cost;
  station.kv_bytes_per_token = scenario.engine.kv_bytes_per_token;
  station.kv.total = scenario.engine.kv_blocks;
  station.kv.contiguous = policies.kv->contiguous();
  station.kv.block_tokens = scenario.engine.block_tokens;
  if (policies.kv->block_tokens() > Tokens{}) station.kv.block_tokens = policies.kv->block_tokens();
  station.kv.watermark = policies.kv->watermark();
  station.kv.host_tokens = scenario.engine.host_tokens;
  station.kv.prefix = static_cast<PrefixKind>(scenario.engine.prefix);
  station.kv.host_prefix = scenario.engine.host_prefix;
  for (std::size_t i = 0; i < policies.batchers.size(); ++i) {
    station.batcher = policies.batchers[i].get();
    station.order = policies.orders[i].get();
    if (options.executor) station.executor = options.executor(i, station.kv);
    parts.stations.push_back(station);
  }

  RecorderConfig config;
  config.stations = scenario.stations;
  config.stages = scenario.cost.stages;
  for (const RequestSpec& r : scenario.requests)
    config.classes = std::max(config.classes, r.request.request_class + 1);
  config.block_tokens = station.kv.block_tokens;
  config.blocks = station.kv.total;
  config.warmup = Duration{};
  config.rows = rows;
  config.idle_milliwatts = options.idle_milliwatts;
  config.usd_per_hour = options.usd_per_hour;
  Recorder recorder(config);
  parts.router = policies.router.get();
  parts.cluster = options.cluster;
  parts.power = options.power;
  parts.tariff = options.tariff;
  parts.charges = options.charges;
  parts.predictor = policies.predictor.get();
  parts.admission = policies.admission.get();
  parts.classes = scenario.engine.classes;
  parts.clients = scenario.engine.clients;
  QoeMeter qoe(scenario.engine.qoe);
  if (!scenario.engine.qoe.empty()) parts.observers.push_back(&qoe);
  if (also) parts.observers.push_back(also);
  parts.source = &source;
  parts.recorder = &recorder;
  parts.decisions = decisions;
  parts.seed = scenario.engine.seed;
  parts.fast_forward = options.fast_forward;
  parts.verify_fast_forward = options.verify;
  Outcome outcome = Simulation(parts).run();
  for (const std::string& broken : outcome.summary.broken) throw std::logic_error("identity: " + broken);
  return outcome;
}

EngineResult run_engine(const Scenario& scenario, const EngineOptions& options) {
  ScenarioSource source(scenario);
  EngineResult result;
  Collector collector(result.as_twin);
  result.outcome = run_engine(scenario, source, options, &collector, &collector, &result.tenants);
  const Summary& summary = result.outcome.summary;
  TwinSums& sums = result.as_twin.sums;
  sums.computed = summary.tokens.computed;
  sums.delivered = summary.tokens.delivered;
  sums.cached = summary.tokens.cached;
  sums.recomputed = summary.tokens.recomputed;
  sums.wasted = summary.tokens.wasted;
  sums.padded = summary.tokens.padded;
  sums.preemptions = summary.kv.preemptions;
  sums.swaps = summary.kv.swaps;
  sums.host_in = summary.kv.host.hit_tokens;
  sums.host_out = summary.kv.host.offloaded_tokens;
  sums.iterations = result.outcome.iterations;
  result.as_twin.end = Time{from_seconds(summary.duration_s)};
  for (const TwinRow& row : result.as_twin.rows) result.as_twin.names.push_back(source.name(row.number));
  return result;
}

std::string difference(const TwinResult& a, const TwinResult& b) {
  std::string out = first_difference("decision", a.decisions, b.decisions) + first_difference("row", a.rows, b.rows);
  compare(out, "computed", a.sums.computed, b.sums.computed);
  compare(out, "delivered", a.sums.delivered, b.sums.delivered);
  compare(out, "cached", a.sums.cached, b.sums.cached);
  compare(out, "recomputed", a.sums.recomputed, b.sums.recomputed);
  compare(out, "wasted", a.sums.wasted, b.sums.wasted);
  compare(out, "padded", a.sums.padded, b.sums.padded);
  compare(out, "preemptions", a.sums.preemptions, b.sums.preemptions);
  compare(out, "swaps", a.sums.swaps, b.sums.swaps);
  compare(out, "host_in", a.sums.host_in, b.sums.host_in);
  compare(out, "host_out", a.sums.host_out, b.sums.host_out);
  compare(out, "iterations", a.sums.iterations, b.sums.iterations);
  return out;
}

std::string difference(const Scenario& scenario, const TwinResult& twin, const EngineResult& engine) {
  std::string out = difference(twin, engine.as_twin);
  const Summary& s = engine.outcome.summary;
  const TwinSums& sums = twin.sums;
  auto d = [](Wide n) { return static_cast<double>(n); };
  auto ratio = [](double a, double b) { return b != 0 ? a / b : 0; };
  const ScenarioPolicies policies(scenario);
  const bool own = policies.kv->block_tokens() > Tokens{};
  const Wide block = (own ? policies.kv->block_tokens() : scenario.engine.block_tokens).value();
  const double all = d(scenario.engine.kv_blocks.value() * block * scenario.stations) * d(to_ps(twin.end));
  compare(out, "end", to_seconds(twin.end), s.duration_s);
  const double busy = d(sums.busy) * 1e-12 / scenario.cost.stages;
  compare(out, "busy", ratio(busy, d(static_cast<Wide>(to_ps(twin.end)) * scenario.stations) * 1e-12), s.busy);
  compare(out, "joules", d(sums.energy) * 1e-9, s.joules);
  compare(out, "gaps", sums.gap_count, s.latencies.itl.count);
  compare(out, "mean gap", ratio(d(sums.gaps), d(sums.gap_count)) * 1e-12, s.latencies.itl.mean);
  compare(out, "mean running", ratio(d(sums.running), d(sums.span)), s.mean_running);
  compare(out, "max running", sums.max_running, s.max_running);
  compare(out, "kv.used", ratio(d(sums.used), all), s.kv.used);
  compare(out, "kv.reserved", ratio(d(sums.reserved), all), s.kv.reserved);
  compare(out, "kv.internal", ratio(d(sums.held * block - sums.used - sums.reserved), all), s.kv.internal);
  compare(out, "kv.external", ratio(d(sums.unusable * block), all), s.kv.external);
  std::map<std::pair<std::int64_t, int>, std::int64_t> service;
  for (std::int64_t i = 0; i < engine.tenants.ticks(); ++i)
    for (int t = 0; t < 8; ++t)
      if (const std::int64_t got = engine.tenants.service(i, static_cast<std::size_t>(t)); got != 0)
        service[{i, t}] = got;
  if (service != twin.service) out += "service of tenants over time\n";
  return out;
}

std::string difference(const EngineResult& a, const EngineResult& b) {
  std::string out = difference(a.as_twin, b.as_twin);
  compare(out, "fingerprint", a.outcome.fingerprint, b.outcome.fingerprint);
  const Summary &x = a.outcome.summary, &y = b.outcome.summary;
  compare_quantiles(out, "ttft", x.latencies.ttft, y.latencies.ttft);
  compare_quantiles(out, "tpot", x.latencies.tpot, y.latencies.tpot);
  compare_quantiles(out, "itl", x.latencies.itl, y.latencies.itl);
  compare_quantiles(out, "e2e", x.latencies.e2e, y.latencies.e2e);
  compare_quantiles(out, "queue", x.latencies.queue, y.latencies.queue);
  compare(out, "duration", x.duration_s, y.duration_s);
  compare(out, "kv.peak", x.kv.peak_used_fraction, y.kv.peak_used_fraction);
  compare(out, "kv.used", x.kv.used, y.kv.used);
  compare(out, "kv.reserved", x.kv.reserved, y.kv.reserved);
  compare(out, "kv.internal", x.kv.internal, y.kv.internal);
  compare(out, "kv.external", x.kv.external, y.kv.external);
  compare(out, "busy", x.busy, y.busy);
  compare(out, "joules", x.joules, y.joules);
  compare(out, "mean running", x.mean_running, y.mean_running);
  compare(out, "max running", x.max_running, y.max_running);
  compare(out, "in system", x.mean_in_system, y.mean_in_system);
  compare(out, "output rate", x.throughput.output_tokens_per_s, y.throughput.output_tokens_per_s);
  compare(out, "prompt rate", x.throughput.prompt_tokens_per_s, y.throughput.prompt_tokens_per_s);
  return out;
}

}  // namespace orrery
