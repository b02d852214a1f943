/// Random clusters for tests of chaos: scenarios of the differential fuzz (tests/differential/fuzz.hpp) that a cluster
/// can run, pools and links, nodes that come and go, what befalls instances, and parameters of policies by lot. All
/// pure functions of a seed.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "sim/config/describe.hpp"
#include "sim/engine/operations.hpp"
#include "tests/cluster/support.hpp"
#include "tests/differential/fuzz.hpp"

namespace orrery {

/// A scenario of the differential fuzz that a cluster can run: calls that move need paged KV and continuous batching.
inline bool suits(const Scenario& s) {
  const auto named = [&](const char* slot, const char* name) {
    const auto it = s.policies.find(slot);
    return it != s.policies.end() && it->second == name;
  };
  const auto whole_batches = s.parameters.find("batching.static_batch");
  if (whole_batches != s.parameters.end() && whole_batches->second == "true") return false;
  return s.stations > 1 && !named("kv", "contiguous") && !named("batching", "static") &&
         !named("batching", "sequence-scheduling") && !named("batching", "s3") && !named("batching", "orca");
}

inline ClusterParts random_cluster(const Scenario& s, ClusterPolicy& policy, std::uint64_t seed) {
  Rng rng(seed, Purpose::kFuzz, 2);
  ClusterParts c;
  c.policy = &policy;
  const auto first = static_cast<std::int32_t>(1 + rng.below(static_cast<std::uint64_t>(s.stations)));
  for (const std::int32_t n : {first, s.stations - first}) {
    if (n == 0) continue;
    PoolParts p;
    p.name = "pool" + std::to_string(c.pools.size());
    p.count = n;
    p.kv_bytes_per_token = Bytes{static_cast<std::int64_t>(rng.below(3)) * 1000};
    p.layers = static_cast<int>(1 + rng.below(4));
    p.bytes_per_s = rng.below(3) == 0 ? 0 : static_cast<std::int64_t>(1 + rng.below(5000)) * 1000;
    c.pools.push_back(p);
  }
  for (std::int32_t a = 0; a < static_cast<std::int32_t>(c.pools.size()); ++a)
    if (rng.below(2) == 0)
      c.links.push_back({PoolId{a}, PoolId{0}, static_cast<std::int64_t>(1 + rng.below(9)) * 1'000'000,
                         Duration{static_cast<std::int64_t>(rng.below(3)) * 1'000'000'000}});
  constexpr Move kLost[] = {Move::kRestart, Move::kRecompute, Move::kCommit};
  c.lost_calls = kLost[rng.below(3)];
  return c;
}

/// Puts it on nodes that come and go every few milliseconds; in the end there are enough for all.
inline void add_nodes(ClusterParts& c, std::uint64_t seed) {
  Rng rng(seed, Purpose::kFuzz, 3);
  for (PoolParts& p : c.pools) {
    p.on_nodes = true;
    p.tp = static_cast<int>(1 + rng.below(3));
    p.start_delay = Duration{static_cast<std::int64_t>(rng.below(20)) * 1'000'000'000};
    for (std::int32_t i = 0; i < p.count; ++i) c.nodes.push_back({.name = "node", .devices = p.tp});
  }
  std::vector<NodeChange> last(c.nodes.size(), NodeChange::kGone);
  Time now{};
  const auto change = [&](std::int32_t n, NodeChange what) {
    last[static_cast<std::size_t>(n)] = what;
    c.capacity.push_back({now, what, n, what == NodeChange::kAnnounced ? now + Duration{9'000'000'000} : kNever});
  };
  const auto all = static_cast<std::int32_t>(c.nodes.size());
  for (std::int32_t n = 0; n < all; ++n) if (rng.below(4) > 0) change(n, NodeChange::kAdded);
  for (int i = 0; i < 40; ++i) {
    now += Duration{static_cast<std::int64_t>(rng.below(12)) * 1'000'000'000 + static_cast<std::int64_t>(rng.below(2))};
    const auto n = static_cast<std::int32_t>(rng.below(c.nodes.size()));
    const bool there = last[static_cast<std::size_t>(n)] != NodeChange::kGone;
    const bool told = last[static_cast<std::size_t>(n)] == NodeChange::kAnnounced;
    change(n, !there ? NodeChange::kAdded : told || rng.below(2) == 0 ? NodeChange::kGone : NodeChange::kAnnounced);
  }
  now += Duration{1'000'000'000};
  for (std::int32_t n = 0; n < all; ++n)
    if (last[static_cast<std::size_t>(n)] == NodeChange::kAnnounced) change(n, NodeChange::kGone);
  now += Duration{1'000'000'000};
  for (std::int32_t n = 0; n < all; ++n)
    if (last[static_cast<std::size_t>(n)] == NodeChange::kGone) change(n, NodeChange::kAdded);
}

/// Fails, slows and restarts instances, by chance and at set times; all come back.
inline std::vector<Operation> random_operations(const Scenario& s, const ClusterParts& c, std::uint64_t seed) {
  Rng rng(seed, Purpose::kFuzz, 4);
  const bool is_short = std::all_of(s.requests.begin(), s.requests.end(), [](const auto& r) { return r.at < 10s; });
  const auto some = [&](std::uint64_t most_ms) {
    const auto ms = static_cast<std::int64_t>(1 + rng.below(most_ms));
    return Duration{ms * 1'000'000'000 + static_cast<std::int64_t>(rng.below(2))};
  };
  std::vector<Operation> all;
  for (int i = 0; i < 4; ++i) {
    Operation o;
    o.kind = static_cast<Operation::Kind>(rng.below(4));
    o.at = Time{} + some(100);
    if (rng.below(3) == 0 && is_short && o.kind != Operation::kRestart) o.every = some(60) + Duration{200ms};
    o.pool = PoolId{static_cast<std::int32_t>(rng.below(c.pools.size()))};
    o.lasts = some(30);
    o.start_delay = some(10);
    if (rng.below(2) == 0) o.detect = some(20);
    o.per_mille = static_cast<std::int64_t>(100 + rng.below(3000));
    // Calls that begin anew again and again would never get through.
    o.calls = rng.below(2) == 0 || o.every > Duration{} ? Move::kRecompute : Move::kRestart;
    all.push_back(o);
  }
  return all;
}

/// Parameters of a policy by lot: the default, or within the first part of its range.
class DrawnParameters : public Describer {
 public:
  explicit DrawnParameters(std::uint64_t seed) : rng_(seed, Purpose::kFuzz, 4) {}
  void field(std::string_view, std::int64_t& value, Range r, std::string_view, std::string_view) override {
    const auto low = static_cast<std::int64_t>(std::max(r.min, 0.0));
    const auto high = static_cast<std::int64_t>(std::min(r.max, static_cast<double>(low) + 100));
    if (drawn()) value = low + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(high - low + 1)));
  }
  void field(std::string_view, double& value, Range r, std::string_view, std::string_view) override {
    const double low = std::max(r.min, 0.0), high = std::min(r.max, low + 20);
    if (drawn()) value = low + (high - low) * rng_.uniform();
  }
  void field(std::string_view, bool& value, std::string_view) override {
    if (drawn()) value = rng_.below(2) == 0;
  }
  void field(std::string_view, std::string&, std::string_view) override {}
  void field(std::string_view, std::vector<double>&, Range, std::string_view) override {}
  void duration(std::string_view, Duration& value, Range, std::string_view) override {
    value = Duration{static_cast<std::int64_t>(1 + rng_.below(40)) * 1'000'000'000};   // scenarios last for some
  }
  void enumeration(std::string_view, int& value, const std::vector<EnumName>& names, std::string_view) override {
    if (drawn()) value = names[rng_.below(names.size())].value;
  }

 private:
  bool drawn() { return rng_.below(2) == 0; }
  Rng rng_;
};

/// Roles such that every prompt and every answer has a pool, and a cluster to which things happen. `split`: the policy
/// knows no mixed instances.
inline void add_life(ClusterParts& c, std::int32_t stations, std::uint64_t seed, bool split) {
  Rng rng(seed, Purpose::kFuzz, 5);
  if (c.pools.size() == 2 && (rng.below(3) > 0 || split)) {
    c.pools[0].role = Role::kPrefill;
    c.pools[1].role = Role::kDecode;
  }
  Time now{};
  for (int i = 0; i < 12; ++i) {
    now += Duration{static_cast<std::int64_t>(rng.below(25)) * 1'000'000'000 + static_cast<std::int64_t>(rng.below(2))};
    const StationId s{static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(stations)))};
    constexpr Happening::Kind kKinds[] = {Happening::kStart, Happening::kAnnounce, Happening::kStop,
                                          Happening::kDrain, Happening::kUndrain,  Happening::kSlow};
    c.happenings.push_back({kKinds[rng.below(6)], now, s, Duration{7'000'000'000}, 2000});
  }
  now += Duration{20'000'000'000};   // in the end all serve, else calls might be held for ever
  for (std::int32_t s = 0; s < stations; ++s)
    for (const Happening::Kind kind : {Happening::kUndrain, Happening::kStart})
      c.happenings.push_back({kind, now, StationId{s}});
}

}  // namespace orrery
