/// Random clusters under a policy that does everything at random: places, holds, moves in every way, drains, stops and
/// starts instances, on nodes that come and go, while instances fail, are slow and are restarted. Fast-forwarded and
/// stepped runs must agree to the last bit, and every identity must hold.
#include <gtest/gtest.h>

#include <algorithm>

#include "policies/register.hpp"
#include "tests/cluster/chaos.hpp"

namespace orrery {
namespace {

/// Draws from what it sees and a seed, never from how often it is asked.
class Restless final : public ClusterPolicy {
 public:
  explicit Restless(std::uint64_t seed) : rng_(seed, Purpose::kFuzz, 1) {
    period_ = Duration{static_cast<std::int64_t>(1 + rng_.below(40)) * 1'000'000'000 +
                       static_cast<std::int64_t>(rng_.below(3))};
    split_ = rng_.below(3);
    stops_ = rng_.below(2) == 0;
    layered_ = rng_.below(2) == 0;
    lost_ = static_cast<Move>(2 + rng_.below(3));
    arranges_ = rng_.below(2) == 0;
    last_ = Tokens{static_cast<std::int64_t>(1 + rng_.below(20))};
  }
  LiveMove live_move() const override { return {last_, 3}; }
  Placement route(CallId id, Cluster& c, Rng rng) override {
    if (c.committed(id)) {
      EXPECT_EQ(c.context(id), c.call(id).prompt + c.emitted(id) - 1_tok);
      if (rng.below(4) == 0) c.forget(id);
    }
    const StationId a = anyone(c, rng), b = later_than(a, c, rng);
    if (!a.valid()) return Placement::hold();
    if (split_ == 0) return Placement::at(a);
    return rng.below(3) == 0 ? Placement::split(a, StationId{}) : Placement::split(a, b);
  }
  StationId decode_at(CallId, StationId at, const Cluster& c, Rng rng) override {
    return rng.below(4) == 0 ? at : later_than(at, c, rng);
  }
  Transfer transfer(CallId, const Cluster&) const override {
    return layered_ ? Transfer::kLayerwise : Transfer::kSerialized;
  }
  Duration tick() const override { return period_; }
  void on_tick(Cluster& c) override {
    if (++ticks_ > 300) return all_serve(c);   // else calls that take long might never get through
    const auto n = static_cast<std::uint64_t>(c.instances().size());
    const StationId s{static_cast<std::int32_t>(rng_.below(n))};
    const std::uint64_t what = rng_.below(12);
    if (what < 7) move_one(c, s);
    else if (what == 7) c.drain(s);
    else if (what == 8) c.undrain(s);
    else if (what == 9 && stops_) c.stop(s, lost_);
    else c.start(s, period_ * 2, Phase::kLoading);
  }
  bool on_nodes(std::span<const std::int32_t> nodes, NodeChange what, Cluster& c) override {
    if (!arranges_) return false;
    const StationId s{static_cast<std::int32_t>(rng_.below(c.instances().size()))};
    if (what == NodeChange::kAdded && c.occupy(s, nodes)) c.start(s, period_, Phase::kMigrating);
    if (what == NodeChange::kAnnounced) c.stop(s, lost_);
    return true;
  }

 private:
  static StationId anyone(const Cluster& c, Rng& rng) {
    std::vector<StationId> up;
    for (const Instance& x : c.instances())
      if (x.takes_calls()) up.push_back(x.station);
    return up.empty() ? StationId{} : up[rng.below(up.size())];
  }
  /// KV goes to later instances only: two that wait for room at each other would wait forever.
  static StationId later_than(StationId a, const Cluster& c, Rng& rng) {
    const StationId b = anyone(c, rng);
    return b.valid() && b.index > a.index ? b : a;
  }
  static void all_serve(Cluster& c) {
    for (const Instance& x : c.instances()) {
      c.undrain(x.station);
      c.start(x.station, Duration{}, Phase::kLoading);
    }
  }
  void move_one(Cluster& c, StationId from) {
    const auto decoding = c.decoding(from), waiting = c.waiting(from);
    std::vector<CallId> all(decoding.begin(), decoding.end());
    all.insert(all.end(), waiting.begin(), waiting.end());
    const auto pick = rng_.below(64), where = rng_.below(64), how = rng_.below(5);   // as many draws whatever there is
    if (all.empty()) return;
    const CallId id = all[pick % all.size()];
    if (pick % all.size() < decoding.size()) {
      EXPECT_EQ(c.context(id), c.call(id).prompt + c.emitted(id) - 1_tok);
    }
    c.migrate(id, StationId{static_cast<std::int32_t>(where % c.instances().size())}, static_cast<Move>(how));
  }

  Rng rng_;
  Duration period_{};
  std::uint64_t split_;
  int ticks_ = 0;
  Tokens last_;
  Move lost_ = Move::kRecompute;
  bool stops_, layered_, arranges_;
};

struct Compared {
  ClusterRun fast, stepped;
  std::size_t incidents = 0;
};

Compared both(const Scenario& s, std::uint64_t seed) {
  Compared c;
  for (const bool fast : {true, false}) {
    Restless policy(seed);
    ClusterParts parts = random_cluster(s, policy, seed);
    if (seed % 2 == 0) add_nodes(parts, seed);
    Operations operations(random_operations(s, parts, seed), seed);
    if (seed % 3 == 0) parts.controllers = {&operations};
    (fast ? c.fast : c.stepped) = run_cluster(s, parts, fast);
    c.incidents = operations.incidents().size();
  }
  return c;
}

TEST(Chaos, FastForwardEqualsSteppingAndNothingIsLost) {
  std::int64_t runs = 0, rounds = 0, migrations = 0, stopped = 0, skipped = 0, committed = 0, nodes_gone = 0,
               incidents = 0;
  for (std::uint64_t i = 0; runs < 800; ++i) {
    const Scenario s = random_scenario(7, i, static_cast<std::int64_t>(i % 40));
    if (!suits(s)) continue;
    ++runs;
    SCOPED_TRACE("scenario " + std::to_string(i) + "\n" + to_text(s));
    Compared c;
    ASSERT_NO_THROW(c = both(s, i));
    ASSERT_EQ(c.fast.outcome.fingerprint, c.stepped.outcome.fingerprint) << first_difference(c.fast, c.stepped);
    ASSERT_EQ(first_difference(c.fast, c.stepped), "");
    for (const Outcome* o : {&c.fast.outcome, &c.stepped.outcome}) {
      ASSERT_EQ(o->summary.broken, std::vector<std::string>{});
      ASSERT_EQ(o->summary.offered, static_cast<std::int64_t>(s.requests.size()));
    }
    ASSERT_EQ(c.fast.outcome.iterations, c.stepped.outcome.iterations);
    ASSERT_EQ(c.fast.outcome.summary.joules, c.stepped.outcome.summary.joules);
    migrations += c.fast.outcome.migrations;
    for (const std::string& line : c.fast.actions) {
      committed += line.find("land") != std::string::npos && line.ends_with(" -1");
      rounds += line.find("engine: round") != std::string::npos;
      nodes_gone += line.find("node gone") != std::string::npos;
    }
    incidents += static_cast<std::int64_t>(c.incidents);
    skipped += c.fast.outcome.events < c.stepped.outcome.events;
    for (const Duration d : c.fast.outcome.paid)
      stopped += Time{} + d < Time{} + from_seconds(c.fast.outcome.summary.duration_s);
  }
  EXPECT_GT(migrations, 200);   // the chaos is one
  EXPECT_GT(stopped, 200);
  EXPECT_GT(committed, 200);    // calls that went on with the KV that they kept
  EXPECT_GT(rounds, 200);       // of live moves by tokens
  EXPECT_GT(nodes_gone, 1000);
  EXPECT_GT(incidents, 300);
  EXPECT_GT(skipped, 50);
}

/// Every registered policy over pools that stay, with drawn parameters; the others: chaos_systems_test.cpp.
TEST(Chaos, RealPoliciesSteppedAndFastForwarded) {
  const Registry& registry = shipped_policies();
  for (const PolicyEntry<ClusterPolicy>& entry : registry.entries<ClusterPolicy>()) {
    if (entry.family != "disaggregation" && entry.family != "migration") continue;
    SCOPED_TRACE(entry.name);
    std::int64_t runs = 0, moved = 0, skipped = 0;
    for (std::uint64_t i = 0; runs < 60; ++i) {
      const Scenario s = random_scenario(13, i, static_cast<std::int64_t>(i % 40));
      const bool split = entry.name == "tetriinfer";
      DrawnParameters any(i);
      if (!suits(s) || (split && random_cluster(s, *entry.make(any), i).pools.size() < 2)) continue;
      ++runs;
      SCOPED_TRACE("scenario " + std::to_string(i) + "\n" + to_text(s));
      ClusterRun run[2];
      for (const bool fast : {false, true}) {
        DrawnParameters drawn(i);
        const std::unique_ptr<ClusterPolicy> policy = entry.make(drawn);
        ClusterParts c = random_cluster(s, *policy, i);
        add_life(c, s.stations, i, split);
        ASSERT_NO_THROW(run[fast] = run_cluster(s, c, fast));
        ASSERT_EQ(run[fast].outcome.summary.broken, std::vector<std::string>{});
        ASSERT_EQ(run[fast].rows.size(), s.requests.size());
      }
      ASSERT_EQ(run[0].outcome.fingerprint, run[1].outcome.fingerprint) << first_difference(run[1], run[0]);
      ASSERT_EQ(first_difference(run[1], run[0]), "");
      ASSERT_EQ(run[0].outcome.iterations, run[1].outcome.iterations);
      ASSERT_EQ(run[0].outcome.summary.joules, run[1].outcome.summary.joules);
      ASSERT_EQ(run[0].outcome.summary.kv.preemption_loss_s, run[1].outcome.summary.kv.preemption_loss_s);
      ASSERT_EQ(run[0].outcome.downtime, run[1].outcome.downtime);
      for (const std::string& line : run[1].actions) moved += line.find("engine: land") != std::string::npos;
      skipped += run[1].outcome.events < run[0].outcome.events;
    }
    EXPECT_GT(skipped, 5);
    RecordProperty("moved", static_cast<int>(moved));
    if (entry.name == "llumnix" || entry.name == "splitwise" || entry.name == "distserve") {
      EXPECT_GT(moved, 20);
    }
  }
}

class Steady final : public ClusterPolicy {
 public:
  Placement route(CallId, Cluster& c, Rng) override {
    const Instance* best = nullptr;
    for (const Instance& x : c.instances())
      if (x.takes_calls() && (!best || x.load->calls < best->load->calls)) best = &x;
    return best ? Placement::split(best->station, StationId{}) : Placement::hold();
  }
  StationId decode_at(CallId, StationId at, const Cluster& c, Rng) override {
    const StationId other{at.index + 1};   // see Restless::later_than
    return other.index < static_cast<std::int32_t>(c.instances().size()) && c.instance(other).takes_calls() ? other
                                                                                                            : at;
  }
};

/// Every replica is killed at every instant at which something happens, one run each: whatever it was doing, each
/// request is told of once, and what fast-forward skips is lost as stepping loses it.
TEST(Chaos, EveryReplicaDiesAtEveryInstant) {
  std::int64_t runs = 0, deaths = 0;
  for (std::uint64_t i = 0; runs < 100; ++i) {
    const Scenario s = random_scenario(11, i);
    if (!suits(s) || s.requests.size() > 6) continue;
    ++runs;
    SCOPED_TRACE("scenario " + std::to_string(i) + "\n" + to_text(s));
    Steady policy;
    ClusterParts c = random_cluster(s, policy, i);
    std::vector<Time> instants;
    ClusterRun whole;
    ASSERT_NO_THROW(whole = run_cluster(s, c, false));
    for (const auto& [number, row] : whole.rows)
      for (const Time t : {row.arrival, row.first_schedule, row.first_token, row.finish})
        if (t != kNever) instants.insert(instants.end(), {t, t + Duration{1}});
    std::sort(instants.begin(), instants.end());
    instants.erase(std::unique(instants.begin(), instants.end()), instants.end());
    for (std::int32_t station = 0; station < s.stations; ++station) {
      for (const Time t : instants) {
        c.happenings = {{Happening::kStop, t, StationId{station}}, {Happening::kStart, t, StationId{station}, 5ms}};
        ClusterRun fast, stepped;
        ASSERT_NO_THROW(fast = run_cluster(s, c, true)) << to_ps(t) << " " << station;
        ASSERT_NO_THROW(stepped = run_cluster(s, c, false)) << to_ps(t) << " " << station;
        ASSERT_EQ(fast.outcome.fingerprint, stepped.outcome.fingerprint)
            << to_ps(t) << " " << station << "\n" << first_difference(fast, stepped);
        ASSERT_EQ(first_difference(fast, stepped), "") << to_ps(t) << " " << station;
        ASSERT_EQ(fast.outcome.summary.broken, std::vector<std::string>{}) << to_ps(t) << " " << station;
        ASSERT_EQ(fast.rows.size(), s.requests.size());
        ++deaths;
      }
    }
  }
  EXPECT_GT(deaths, 2000);
}

}  // namespace
}  // namespace orrery
