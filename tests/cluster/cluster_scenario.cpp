#include "tests/cluster/cluster_scenario.hpp"

#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>

#include "policies/routing/round_robin.hpp"
#include "sim/engine/keep_alive.hpp"
#include "sim/engine/operations.hpp"
#include "sim/engine/scaler.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

using Words = std::vector<std::string>;

const std::set<std::string> kClusterWords{"pool", "link", "server", "node", "capacity", "policy",
                                          "event", "scale", "keep", "power", "clock"};

Words words(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

/// The `key=value` words of a line, each taken once.
class Keys {
 public:
  Keys(const Words& line, std::size_t from) {
    for (std::size_t i = from; i < line.size(); ++i) {
      const auto at = line[i].find('=');
      if (at == std::string::npos) throw std::invalid_argument("expected key=value, got " + line[i]);
      all_[line[i].substr(0, at)] = line[i].substr(at + 1);
    }
  }
  std::string text(const std::string& key, const std::string& otherwise = "") {
    const auto it = all_.find(key);
    if (it == all_.end()) return otherwise;
    const std::string value = it->second;
    all_.erase(it);
    return value;
  }
  std::int64_t number(const std::string& key, std::int64_t otherwise = 0) {
    const std::string value = text(key);
    if (value.empty()) return otherwise;
    std::size_t end = 0;
    const std::int64_t n = std::stoll(value, &end);
    if (end != value.size()) throw std::invalid_argument("expected a whole number, got " + value);
    return n;
  }
  std::int32_t small(const std::string& key, std::int64_t otherwise = 0) {
    return static_cast<std::int32_t>(number(key, otherwise));
  }
  Duration time(const std::string& key, Duration otherwise = {}) {
    const std::string value = text(key);
    return value.empty() ? otherwise : parse_duration(value);
  }
  std::vector<std::string> list(const std::string& key) {
    std::vector<std::string> out;
    std::istringstream in(text(key));
    for (std::string one; std::getline(in, one, ',');) out.push_back(one);
    return out;
  }
  std::vector<std::int32_t> numbers(const std::string& key) {
    std::vector<std::int32_t> out;
    for (const std::string& n : list(key)) out.push_back(std::stoi(n));
    return out;
  }
  std::map<std::string, std::string> rest() { return std::exchange(all_, {}); }
  void finish() const {
    if (!all_.empty()) throw std::invalid_argument("unknown key " + all_.begin()->first);
  }

 private:
  std::map<std::string, std::string> all_;
};

/// The scenario's cost at a clock; draws constant power.
class Clocked final : public CostModel {
 public:
  Clocked(const CostModel& base, std::int64_t per_mille, std::int64_t milliwatts)
      : base_(&base), per_mille_(per_mille), milliwatts_(milliwatts) {}
  StepRun price(std::span<const StepShape> members, int stage) const override {
    StepRun r = base_->price(members, stage);
    r.first = r.first * per_mille_ / 1000, r.step = r.step * per_mille_ / 1000;
    r.e_first = Energy{to_ps(r.first) / 1'000'000 * milliwatts_};   // of whole microseconds: 1 mW us is 1 nJ
    r.e_step = Energy{to_ps(r.step) / 1'000'000 * milliwatts_};
    return r;
  }

 private:
  const CostModel* base_;
  std::int64_t per_mille_, milliwatts_;
};

/// Everything that one run of a scenario needs, made anew for each.
class Built {
 public:
  Built(const ClusterScenario& text, const Scenario& scenario) : costs_(scenario) {
    for (const auto& line : text.cluster) try {
        add(line.words);
      } catch (const std::invalid_argument& e) {
        throw std::invalid_argument(text.where + ":" + std::to_string(line.number) + ": " + e.what());
      }
    if (!operations_.empty()) parts.controllers.push_back(&events_.emplace_back(operations_, 1));
    for (Scaler& s : scalers_) parts.controllers.push_back(&s);
    for (KeepAlive& k : keepers_) parts.controllers.push_back(&k);
    if (!parts.policy) parts.router = costs_.router ? costs_.router.get() : &alone_;
    if (domain_) finish_power(scenario.stations);
  }
  Built(const Built&) = delete;
  Built& operator=(const Built&) = delete;

  ClusterParts parts;
  PowerParts power;
  EngineOptions options;

 private:
  PoolId pool(const std::string& name) const {
    for (std::size_t i = 0; i < parts.pools.size(); ++i)
      if (parts.pools[i].name == name) return PoolId{static_cast<std::int32_t>(i)};
    throw std::invalid_argument("there is no pool " + name);
  }
  /// The pool that a line names; the first where it names none.
  PoolId pool_of(Keys& keys) const {
    const std::string name = keys.text("pool");
    return name.empty() ? PoolId{0} : pool(name);
  }

  void add(const Words& w) {
    const std::string& what = w[0];
    const std::size_t names = what == "server" ? 0 : what == "link" || what == "event" ? 2 : what == "capacity" ? 3 : 1;
    if (w.size() < names + 1) throw std::invalid_argument(what + " needs " + std::to_string(names) + " words");
    Keys keys(w, names + 1);
    if (what == "pool") add_pool(w[1], keys);
    else if (what == "link")
      parts.links.push_back({pool(w[1]), pool(w[2]), keys.number("bandwidth"), keys.time("latency")});
    else if (what == "server") add_server(keys);
    else if (what == "node") parts.nodes.push_back({w[1], keys.small("devices", 1)});
    else if (what == "capacity") add_capacity(w, keys);
    else if (what == "policy") parts.policy = (policy_ = make_policy<ClusterPolicy>(w[1], keys.rest())).get();
    else if (what == "event") add_event(w, keys);
    else if (what == "scale") add_rule(w[1], keys);
    else if (what == "keep")
      keepers_.emplace_back(KeepAliveParts{pool(w[1]), keys.small("min"), keys.time("keep_alive"),
                                           keys.time("start_delay")});
    else if (what == "power") add_power(w[1], keys);
    else if (what == "clock") add_clock(w[1], keys);
    keys.finish();
  }

  void add_pool(const std::string& name, Keys& k) {
    const std::string role = k.text("role", "mixed");
    PoolParts p;
    p.name = name;
    p.count = k.small("count", 1);
    p.role = role == "prefill" ? Role::kPrefill : role == "decode" ? Role::kDecode : Role::kMixed;
    p.priority = k.small("priority");
    p.kv_bytes_per_token = Bytes{k.number("kv_bytes")};
    p.layers = k.small("layers", 1);
    p.bytes_per_s = k.number("network");
    p.node_of = k.numbers("nodes");
    p.serving = k.small("serving", -1);
    p.tp = k.small("tp", 1);
    p.pp = k.small("pp", 1);
    p.max_running = k.small("max_running");
    p.weight_bytes = Bytes{k.number("weights")};
    p.start_delay = p.lifecycle.engine_init = k.time("start_delay");
    p.lifecycle.keep_alive = k.time("keep_alive", Duration{-1});
    p.lifecycle.min = k.small("min");
    p.lifecycle.tier = k.text("tier", "ssd") == "ssd" ? Tier::kSsd : Tier::kRemote;
    p.on_nodes = k.number("on_nodes") != 0;
    p.cost = &costs_.cost;
    parts.pools.push_back(p);
  }

  void add_server(Keys& k) {
    parts.servers.push_back({k.small("gpus", 1), Bytes{k.number("dram")}, k.number("dram_bps"), k.number("ssd_bps"),
                             k.number("network_bps")});
  }

  void add_capacity(const Words& w, Keys& k) {
    const auto is_it = [&](const NodeParts& n) { return n.name == w[3]; };
    const auto node = std::find_if(parts.nodes.begin(), parts.nodes.end(), is_it);
    if (node == parts.nodes.end()) throw std::invalid_argument("there is no node " + w[3]);
    const NodeChange what = w[2] == "add"    ? NodeChange::kAdded
                            : w[2] == "gone" ? NodeChange::kGone
                                             : NodeChange::kAnnounced;
    const Time deadline = Time{} + k.time("deadline");
    parts.capacity.push_back({Time{} + parse_duration(w[1]), what,
                              static_cast<std::int32_t>(node - parts.nodes.begin()),
                              what == NodeChange::kAnnounced ? deadline : kNever});
  }

  void add_event(const Words& w, Keys& k) {
    Operation o;
    constexpr Operation::Kind kinds[] = {Operation::kFail, Operation::kSlow, Operation::kDegrade, Operation::kRestart};
    const auto named = [&](Operation::Kind x) { return name(x) == w[2]; };
    const auto kind = std::find_if(std::begin(kinds), std::end(kinds), named);
    if (kind == std::end(kinds)) throw std::invalid_argument("no event is called " + w[2]);
    o.kind = *kind;
    o.at = Time{} + parse_duration(w[1]);
    o.pool = pool_of(k);
    if (const std::string to = k.text("link"); !to.empty()) o.link = pool(to);
    o.which = k.numbers("which");
    o.count = k.small("at_once", 1);
    o.lasts = k.time("for");
    o.detect = k.time("detect");
    o.start_delay = k.time("start_delay");
    o.per_mille = k.number("per_mille", 1000);
    operations_.push_back(o);
  }

  void add_rule(const std::string& name, Keys& k) {
    ScalerParts s;
    s.pool = pool_of(k);
    s.least = k.small("min");
    s.most = k.small("max", parts.pools[static_cast<std::size_t>(s.pool.index)].count);
    s.every = k.time("every", 15s);
    s.lag = k.time("lag");
    s.start_delay = k.time("start_delay");
    s.rule = rules_.emplace_back(make_policy<ScalingRule>(name, k.rest())).get();
    scalers_.emplace_back(s);
  }

  void add_power(const std::string& name, Keys& k) {
    PowerDomainParts& d = power.domains.emplace_back();
    domain_ = true;
    d.name = name;
    d.budget_mw = k.number("budget") * 1000;
    d.telemetry = k.time("telemetry", 2s);
    d.cap_delay = k.time("cap_delay", 40s);
    d.brake_delay = k.time("brake_delay", 5s);
    for (const std::string& low : k.list("low")) low_.insert(pool(low).index);
    options.idle_milliwatts = k.number("idle") * 1000;
    clock(0, 1000, k.number("draw") * 1000);
    const std::string policy = k.text("policy", "no-cap");
    d.policy = (power_policy_ = make_policy<PowerPolicy>(policy, k.rest())).get();
  }

  void add_clock(const std::string& megahertz, Keys& k) {
    const std::int64_t slower = k.number("slower", 1000);
    clock(std::stoi(megahertz), slower, k.number("draw") * 1000);
  }

  void clock(int megahertz, std::int64_t slower, std::int64_t milliwatts) {
    const Clocked& cost = clocked_.emplace_back(costs_.cost, slower, milliwatts);
    clocks_.push_back({megahertz, &executors_.emplace_back(cost), &cost});
  }

  void finish_power(int stations) {
    for (std::int32_t s = 0, pool = 0, left = parts.pools.front().count; s < stations; ++s, --left) {
      while (left == 0) left = parts.pools[static_cast<std::size_t>(++pool)].count;
      const ServerPriority priority = low_.count(pool) ? ServerPriority::kLow : ServerPriority::kHigh;
      power.domains.front().members.push_back({StationId{s}, priority, 0, 0, clocks_});
    }
    options.power = &power;
    options.executor = [this](std::size_t, const KvConfig&) { return clocks_.front().executor; };
  }

  ScenarioPolicies costs_;
  RoundRobin alone_{{}};      ///< of one instance
  std::unique_ptr<ClusterPolicy> policy_;
  std::vector<std::unique_ptr<ScalingRule>> rules_;
  std::unique_ptr<PowerPolicy> power_policy_;
  std::vector<Operation> operations_;
  std::deque<Operations> events_;
  std::deque<Scaler> scalers_;
  std::deque<KeepAlive> keepers_;
  std::deque<Clocked> clocked_;
  std::deque<ModelExecutor> executors_;
  std::vector<ClockParts> clocks_;
  std::set<std::int32_t> low_;
  bool domain_ = false;
};

/// Actions as `does` lines have them.
class Told final : public ActionSink {
 public:
  Told(const ClusterParts& parts, const ScenarioSource& source) : source_(&source) {
    for (const PoolParts& p : parts.pools)
      for (std::int32_t i = 0; i < p.count; ++i) places_.push_back(p.name + "." + std::to_string(i));
  }
  void action(const Action& a) override {
    const bool placed = a.station.valid();
    const bool asked = a.request != ~std::uint64_t{0};
    lines.push_back(duration_text(a.at.time_since_epoch()) + " " + std::string(a.who) + " " + std::string(a.what) +
                    " " + (placed ? places_.at(static_cast<std::size_t>(a.station.index)) : "-") + " " +
                    (asked ? source_->name(a.request) : "-") + " " + std::to_string(a.value) +
                    (a.estimate ? " for " + duration_text(*a.estimate) : ""));
  }
  std::vector<std::string> lines;

 private:
  const ScenarioSource* source_;
  std::vector<std::string> places_;
};

struct Seen {
  std::map<std::string, Row> rows;
  std::vector<std::string> actions;
  Outcome outcome;
};

Seen run(const ClusterScenario& text, const Scenario& scenario, bool fast_forward) {
  Built built(text, scenario);
  ScenarioSource source(scenario);
  Told told(built.parts, source);
  Rows rows;
  built.parts.actions = &told;
  built.power.actions = &told;
  built.options.fast_forward = fast_forward;
  built.options.cluster = &built.parts;
  Seen seen;
  seen.outcome = run_engine(scenario, source, built.options, &rows, nullptr);
  for (const auto& [number, row] : rows.rows) seen.rows[source.name(number)] = row;
  seen.actions = std::move(told.lines);
  return seen;
}

std::string observed(const Row& r, const std::string& field) {
  const auto time = [](Time t) { return t == kNever ? std::string("never") : duration_text(t.time_since_epoch()); };
  if (field == "first") return time(r.first_token);
  if (field == "finish") return time(r.finish);
  if (field == "schedule") return time(r.first_schedule);
  if (field == "status") return std::string(name(r.status));
  if (field == "station") return std::to_string(r.station.index);
  if (field == "output") return std::to_string(r.output.value());
  if (field == "preempted") return std::to_string(r.preemptions);
  if (field == "decode") return std::to_string(r.decode_station.index);
  if (field == "transfer") return duration_text(r.transfer);
  if (field == "waited") return duration_text(r.decode_queue);
  if (field == "migrations") return std::to_string(r.migrations);
  if (field == "load") return duration_text(r.load);
  throw std::invalid_argument("nothing is called " + field);
}

std::string joined(const Words& w, std::size_t from) {
  std::string out;
  for (std::size_t i = from; i < w.size(); ++i) out += (out.empty() ? "" : " ") + w[i];
  return out;
}

/// Does the line begin with these words?
bool begins(const std::string& line, const std::string& words) {
  return line.starts_with(words) && (line.size() == words.size() || line[words.size()] == ' ');
}

std::string check(const ClusterScenario& s, const Seen& seen) {
  std::string out;
  const auto fail = [&](int line, const std::string& what) {
    out += s.where + ":" + std::to_string(line) + ": " + what + "\n";
  };
  for (const auto& line : s.expect)
    for (std::size_t i = 1; i < line.words.size(); ++i) {
      const std::string& word = line.words[i];
      const auto dot = word.find('.'), is = word.find('=', dot);
      const auto row = seen.rows.find(word.substr(0, dot));
      if (dot == std::string::npos || is == std::string::npos || row == seen.rows.end()) {
        fail(line.number, "expected REQUEST.FIELD=VALUE, got " + word);
        continue;
      }
      const std::string value = observed(row->second, word.substr(dot + 1, is - dot - 1));
      if (value != word.substr(is + 1))
        fail(line.number, word.substr(0, is) + " is " + value + ", expected " + word.substr(is + 1));
    }
  auto at = seen.actions.begin();
  for (const auto& line : s.does) {
    const std::string what = joined(line.words, 1);
    const auto found = std::find_if(at, seen.actions.end(), [&](const std::string& a) { return begins(a, what); });
    if (found == seen.actions.end()) fail(line.number, "does not happen, or not after the line before: " + what);
    else at = found + 1;
  }
  for (const auto& line : s.never) {
    const std::string what = joined(line.words, 1);
    for (const std::string& a : seen.actions)
      if (begins(a.substr(a.find(' ') + 1), what)) fail(line.number, "happens: " + a);
  }
  return out;
}

}  // namespace

std::vector<ClusterScenario> parse_cluster_scenarios(const std::string& text, const std::string& name) {
  std::vector<ClusterScenario> all;
  std::string title, line;
  std::istringstream in(text);
  for (int n = 1; std::getline(in, line); ++n) {
    const Words w = words(line);
    if (w.empty()) continue;
    if (w[0][0] == '#') {
      if (all.empty() || !all.back().base.empty()) title = joined(w, 1);
      continue;
    }
    if (w[0] == "engine") {
      all.emplace_back();
      all.back().title = title;
      all.back().where = name;
      title.clear();
    }
    if (all.empty()) throw std::invalid_argument(name + ":" + std::to_string(n) + ": a scenario starts with `engine`");
    ClusterScenario& s = all.back();
    auto* list = w[0] == "expect" ? &s.expect : w[0] == "does" ? &s.does : w[0] == "never" ? &s.never
                 : kClusterWords.count(w[0]) ? &s.cluster : nullptr;
    if (list != nullptr) {
      list->push_back({n, w});
    } else {
      s.base.resize(static_cast<std::size_t>(n));
      s.base.back() = line;
    }
  }
  return all;
}

std::vector<ClusterScenario> read_cluster_scenarios(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::invalid_argument(path + ": cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_cluster_scenarios(text.str(), path);
}

std::string failures(const ClusterScenario& s) {
  std::string base;
  for (const std::string& line : s.base) base += line + "\n";
  const Scenario scenario = parse_scenarios(base, s.where).front();
  const Seen fast = run(s, scenario, true), stepped = run(s, scenario, false);
  std::string out = check(s, fast);
  if (fast.outcome.fingerprint != stepped.outcome.fingerprint)
    out += s.where + ": stepped, it has another fingerprint\n";
  if (fast.actions != stepped.actions) out += s.where + ": stepped, other things happen\n";
  if (out.empty()) return out;
  for (const std::string& a : fast.actions) out += "  " + a + "\n";
  return out;
}

}  // namespace orrery
