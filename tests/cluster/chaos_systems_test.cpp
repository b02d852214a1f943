/// The real policies of spot, serverless, power and scaling in random clusters to which things happen, with drawn
/// parameters: every identity holds (run_engine throws else), every request is told of once, and fast-forwarded runs
/// are the stepped ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>

#include "policies/register.hpp"
#include "policies/routing/least_loaded.hpp"
#include "sim/engine/keep_alive.hpp"
#include "sim/engine/scaled_cost.hpp"
#include "sim/engine/scaler.hpp"
#include "tests/cluster/chaos.hpp"

namespace orrery {
namespace {

class Flat final : public CostModel {
 public:
  StepRun price(std::span<const StepShape>, int) const override {
    StepRun r;
    r.first = 10ms;
    return r;
  }
};
const Flat kFlat;

/// The scenario's prices at a clock; draws constant power.
class Clocked final : public CostModel {
 public:
  Clocked(CostSpec spec, std::int64_t per_mille, std::int64_t milliwatts)
      : base_(std::move(spec)), slow_(base_, per_mille), milliwatts_(milliwatts) {}
  StepRun price(std::span<const StepShape> members, int stage) const override {
    StepRun r = slow_.price(members, stage);
    r.e_first = Energy{to_ps(r.first) / 1'000'000 * milliwatts_};   // of whole microseconds: 1 mW us is 1 nJ
    r.e_step = Energy{to_ps(r.step) / 1'000'000 * milliwatts_};
    return r;
  }
  Duration hop(Tokens t) const override { return slow_.hop(t); }
  int stages() const override { return slow_.stages(); }

 private:
  ScenarioCost base_;
  ScaledCost slow_;
  std::int64_t milliwatts_;
};

/// What a run is made of, made anew for each.
struct World {
  ClusterParts cluster;
  PowerParts power;
  std::vector<std::unique_ptr<ClusterPolicy>> policies;
  std::vector<std::unique_ptr<PowerPolicy>> rows;
  std::vector<std::unique_ptr<ScalingRule>> rules;
  std::deque<Operations> operations;
  std::deque<Scaler> scalers;
  std::deque<KeepAlive> keepers;
  std::deque<Clocked> costs;
  std::deque<ModelExecutor> executors;
  Executor* executor = nullptr;                  ///< of all stations at first; null: the scenario's
  std::unique_ptr<Router> router;
};

ClusterRun run_world(const Scenario& s, World& w, bool fast_forward) {
  ScenarioSource source(s);
  Rows rows;
  Actions actions;
  const ChangingPrices prices(static_cast<std::size_t>(s.stations));
  w.cluster.actions = &actions;
  w.power.actions = &actions;
  EngineOptions options{.fast_forward = fast_forward};
  options.cluster = &w.cluster;
  options.charges = &prices.parts;
  options.idle_milliwatts = 60;
  if (!w.power.domains.empty()) options.power = &w.power;
  if (w.executor) options.executor = [&](std::size_t, const KvConfig&) { return w.executor; };
  ClusterRun run;
  run.outcome = run_engine(s, source, options, &rows, &actions);
  run.rows = std::move(rows.rows);
  run.actions = std::move(actions.lines);
  return run;
}

struct Tally {
  std::int64_t runs = 0, skipped = 0;
  std::map<std::string, std::int64_t> actions;   ///< by words, up to the place
};

/// So many scenarios that suit, each in the world that `make` builds for it.
Tally in_chaos(std::uint64_t seed, std::int64_t runs, const std::function<void(Scenario&)>& change,
               const std::function<void(const Scenario&, std::uint64_t, World&)>& make) {
  Tally tally;
  for (std::uint64_t i = 0; tally.runs < runs && !testing::Test::HasFatalFailure(); ++i) {
    Scenario s = random_scenario(seed, i, static_cast<std::int64_t>(i % 30));
    if (!suits(s)) continue;
    change(s);
    ++tally.runs;
    SCOPED_TRACE("scenario " + std::to_string(i) + "\n" + to_text(s));
    ClusterRun run[2];
    for (const bool fast : {false, true}) {
      World w;
      make(s, i, w);
      EXPECT_NO_THROW(run[fast] = run_world(s, w, fast));
      EXPECT_EQ(run[fast].rows.size(), s.requests.size());
      if (testing::Test::HasFailure()) return tally;
    }
    EXPECT_EQ(run[0].outcome.fingerprint, run[1].outcome.fingerprint);
    EXPECT_EQ(first_difference(run[1], run[0]), "");
    EXPECT_EQ(run[0].outcome.iterations, run[1].outcome.iterations);
    EXPECT_EQ(run[0].outcome.summary.joules, run[1].outcome.summary.joules);
    if (testing::Test::HasFailure()) return tally;
    tally.skipped += run[1].outcome.events < run[0].outcome.events;
    for (const std::string& line : run[1].actions) {
      const auto from = line.find(' ') + 1, to = line.find(" at ");
      if (to != std::string::npos) ++tally.actions[line.substr(from, to - from)];
    }
  }
  return tally;
}

/// Operations of some kinds, in a world that has its pools already.
void add_operations(const Scenario& s, std::uint64_t i, const std::vector<Operation::Kind>& kinds, World& w) {
  std::vector<Operation> all = random_operations(s, w.cluster, i);
  std::erase_if(all, [&](const Operation& o) { return std::find(kinds.begin(), kinds.end(), o.kind) == kinds.end(); });
  w.cluster.controllers.push_back(&w.operations.emplace_back(all, i));
}

/// A node's bandwidth that moves these models in tens of milliseconds; the rest by lot.
class SpotParameters final : public DrawnParameters {
 public:
  using DrawnParameters::DrawnParameters;
  using DrawnParameters::field;
  void field(std::string_view name, double& value, Range r, std::string_view text, std::string_view unit) override {
    DrawnParameters::field(name, value, r, text, unit);
    if (name == "bandwidth") value = 1e8;
  }
};

/// Two shapes of a model over nodes that come and go every few milliseconds, and are all there in the end.
TEST(ChaosOfSystems, Spot) {
  for (const PolicyEntry<ClusterPolicy>& entry : shipped_policies().entries<ClusterPolicy>()) {
    if (entry.family != "spot") continue;
    SCOPED_TRACE(entry.name);
    const Tally t = in_chaos(19, 60, [](Scenario&) {}, [&](const Scenario& s, std::uint64_t i, World& w) {
      SpotParameters drawn(i);
      ClusterPolicy& policy = *w.policies.emplace_back(entry.make(drawn));
      w.cluster = random_cluster(s, policy, i);
      for (PoolParts& p : w.cluster.pools) {
        p.cost = &kFlat;
        p.max_running = static_cast<int>(1 + i % 5);
        p.weight_bytes = Bytes{1'000'000};
        p.layers = 4;
      }
      add_nodes(w.cluster, i);
      for (NodeParts& n : w.cluster.nodes) n.devices = 2;   // machines are alike
      for (std::size_t p = 0; p < w.cluster.pools.size(); ++p)
        w.cluster.pools[p].tp = static_cast<int>(1 + (i + p) % 2);
      add_operations(s, i, {Operation::kSlow, Operation::kDegrade}, w);
    });
    EXPECT_EQ(t.runs, 60);
    EXPECT_GT(t.skipped, 5);
    EXPECT_GT(t.actions.at("engine: gone"), 50);
  }
}

/// Three models over devices with disks and memory; devices fail and come back.
TEST(ChaosOfSystems, Serverless) {
  const auto models = [](Scenario& s) {
    for (std::size_t r = 0; r < s.requests.size(); ++r)
      s.requests[r].request.model = static_cast<std::uint16_t>(1 + r % 3);
  };
  for (const PolicyEntry<ClusterPolicy>& entry : shipped_policies().entries<ClusterPolicy>()) {
    if (entry.family != "serverless") continue;
    SCOPED_TRACE(entry.name);
    const Tally t = in_chaos(23, 60, models, [&](const Scenario& s, std::uint64_t i, World& w) {
      DrawnParameters drawn(i);
      w.cluster.policy = w.policies.emplace_back(entry.make(drawn)).get();
      const Server server{.gpus = 2, .dram = Bytes{20'000'000}, .dram_bytes_per_s = 2'000'000'000,
                          .ssd_bytes_per_s = 1'000'000'000, .network_bytes_per_s = 500'000'000};
      PoolParts p{.name = "gpus", .count = s.stations, .serving = 0, .weight_bytes = Bytes{10'000'000}};
      for (std::int32_t d = 0; d < s.stations; ++d) p.node_of.push_back(d / 2);
      p.lifecycle.keep_alive = Duration{static_cast<std::int64_t>(i % 4) * 5'000'000'000};
      w.cluster.servers.assign(static_cast<std::size_t>(s.stations + 1) / 2, server);
      w.cluster.pools = {p};
      add_operations(s, i, {Operation::kSlow}, w);
    });
    EXPECT_EQ(t.runs, 60);
    EXPECT_GT(t.skipped, 5);
    EXPECT_GT(t.actions.at("policy: loading"), 100);
  }
}

/// Rows of servers whose budget is passed now and then, under a router by priority, while instances come and go.
TEST(ChaosOfSystems, Power) {
  const auto priorities = [](Scenario& s) {
    for (std::size_t r = 0; r < s.requests.size(); ++r)
      s.requests[r].request.priority = static_cast<std::int16_t>(r % 2);
  };
  for (const PolicyEntry<PowerPolicy>& entry : shipped_policies().entries<PowerPolicy>()) {
    SCOPED_TRACE(entry.name);
    std::int64_t orders = 0;
    const Tally t = in_chaos(29, 60, priorities, [&](const Scenario& s, std::uint64_t i, World& w) {
      Rng rng(i, Purpose::kFuzz, 6);
      DrawnParameters drawn(i), none(i);
      w.policies.push_back(shipped_policies().find<ClusterPolicy>("by-priority")->make(none));
      w.cluster = random_cluster(s, *w.policies.back(), i);
      for (std::size_t p = 0; p < w.cluster.pools.size(); ++p)
        w.cluster.pools[p].priority = static_cast<std::int32_t>(p);
      add_life(w.cluster, s.stations, i, false);
      for (PoolParts& p : w.cluster.pools) p.role = Role::kMixed;
      PowerDomainParts d;
      d.name = "row";
      d.policy = w.rows.emplace_back(entry.make(drawn)).get();
      const auto range = static_cast<std::uint64_t>(s.stations) * 300;
      d.budget_mw = s.stations * 60 + static_cast<std::int64_t>(rng.below(range));
      d.telemetry = Duration{static_cast<std::int64_t>(1 + rng.below(9)) * 1'000'000'000};
      d.cap_delay = Duration{static_cast<std::int64_t>(rng.below(30)) * 1'000'000'000};
      d.brake_delay = Duration{static_cast<std::int64_t>(rng.below(9)) * 1'000'000'000};
      const auto clock = [&](int megahertz, std::int64_t per_mille, std::int64_t milliwatts) {
        const CostModel& cost = w.costs.emplace_back(s.cost, per_mille, milliwatts);
        return ClockParts{megahertz, &w.executors.emplace_back(cost), &cost};
      };
      std::vector<ClockParts> clocks{clock(0, 1000, 300)};
      for (const int megahertz : d.policy->clocks())
        clocks.push_back(clock(megahertz, megahertz > 1000 ? 2000 : 5000, 70 + megahertz / 8));   // whole microseconds
      w.executor = clocks.front().executor;
      for (std::int32_t k = 0; k < s.stations; ++k)
        d.members.push_back({StationId{k}, k % 2 == 0 ? ServerPriority::kHigh : ServerPriority::kLow,
                             static_cast<std::int64_t>(rng.below(20)), static_cast<std::int64_t>(rng.below(300)),
                             clocks});
      w.power.domains.push_back(std::move(d));
    });
    for (const auto& [what, count] : t.actions) orders += what.starts_with("power: ") ? count : 0;
    EXPECT_EQ(t.runs, 60);
    EXPECT_GT(t.skipped, 5);
    EXPECT_GT(orders, 20);
  }
}

/// Rules that scale a pool or two under a router, while instances fail, drain and are slow; in every third world one
/// pool is kept alive instead.
TEST(ChaosOfSystems, Scaling) {
  for (const PolicyEntry<ScalingRule>& entry : shipped_policies().entries<ScalingRule>()) {
    SCOPED_TRACE(entry.name);
    const Tally t = in_chaos(31, 60, [](Scenario&) {}, [&](const Scenario& s, std::uint64_t i, World& w) {
      Rng rng(i, Purpose::kFuzz, 7);
      w.router = std::make_unique<LeastLoaded>(LeastLoadedConfig{});
      class Unused final : public ClusterPolicy {
        Placement route(CallId, Cluster&, Rng) override { return Placement::hold(); }
      } unused;
      w.cluster = random_cluster(s, unused, i);
      w.cluster.policy = nullptr;
      w.cluster.router = w.router.get();
      add_operations(s, i, {Operation::kFail, Operation::kSlow, Operation::kRestart}, w);
      const auto some = [&] { return Duration{static_cast<std::int64_t>(1 + rng.below(30)) * 1'000'000'000}; };
      for (std::size_t p = 0; p < w.cluster.pools.size(); ++p) {
        const PoolId pool{static_cast<std::int32_t>(p)};
        if ((i + p) % 3 == 0) {
          w.cluster.controllers.push_back(&w.keepers.emplace_back(
              KeepAliveParts{pool, static_cast<std::int32_t>(p), some(), some()}));
          continue;
        }
        DrawnParameters drawn(i);
        ScalerParts scaler;
        scaler.rule = w.rules.emplace_back(entry.make(drawn)).get();
        scaler.pool = pool;
        scaler.least = 1;
        scaler.most = w.cluster.pools[p].count;
        scaler.every = some();
        if (rng.below(2) == 0) scaler.lag = some();
        scaler.start_delay = some();
        w.cluster.controllers.push_back(&w.scalers.emplace_back(scaler));
      }
    });
    EXPECT_EQ(t.runs, 60);
    EXPECT_GT(t.skipped, 5);
    EXPECT_GT(t.actions.at("keep-alive: draining"), 10);
    const auto scaled = t.actions.find("scaling: draining");
    EXPECT_GT(scaled == t.actions.end() ? 0 : scaled->second, 10);
  }
}

}  // namespace
}  // namespace orrery
