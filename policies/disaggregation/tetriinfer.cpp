#include "policies/disaggregation/tetriinfer.hpp"

#include <algorithm>

#include "policies/disaggregation/least.hpp"

namespace orrery {
namespace {

Tokens tokens_of(const KvState& kv, Blocks blocks) { return kv.block_tokens * blocks.value(); }

bool idle(const Instance& x) { return x.takes_calls() && x.load->calls == 0 && x.inbound == 0; }

/// Two of `from` at random, perhaps the same if there is only one.
std::pair<StationId, StationId> two_of(const std::vector<StationId>& from, Rng& rng) {
  const std::size_t n = from.size(), first = rng.below(n);
  const std::size_t second = n == 1 ? first : (first + 1 + rng.below(n - 1)) % n;
  return {from[first], from[second]};
}

}  // namespace

void describe(Describer& d, TetriInferConfig& c) {
  using A = TetriInferConfig::Admission;
  d.field("admission", c.admission,
          {{"greedy", static_cast<int>(A::kGreedy)}, {"reserve-static", static_cast<int>(A::kReserveStatic)},
           {"reserve-dynamic", static_cast<int>(A::kReserveDynamic)}},
          "When a decode instance takes a call");
  d.field("heavy_decode", c.heavy_decode, {0, 1e9}, "Predicted output beyond which a decode is heavy");
  d.field("staleness", c.staleness, {0, 3600}, "Period of the monitor's broadcast; 0: live");
  d.field("flip_after", c.flip_after, {0, 1e6}, "Idle time after which an instance takes the other role; 0: never");
}

void describe(Describer& d, TetriInferOrderConfig& c) {
  using By = TetriInferOrderConfig::By;
  d.field(
      "by", c.by,
      {{"fcfs", static_cast<int>(By::kFcfs)}, {"sjf", static_cast<int>(By::kSjf)}, {"ljf", static_cast<int>(By::kLjf)}},
      "Prompts of a batch: as they come, shortest first, longest first");
  d.field("batch", c.batch, {1, 65536}, "Calls that are ordered together (PrefillSchedBatch)");
}

Placement TetriInfer::route(CallId, Cluster& cluster, Rng) {
  const StationId prefill = least(
      cluster, [](const Instance& x) { return x.role != Role::kDecode; },
      [](const Instance& x) { return x.load->prompt_tokens; });
  if (!prefill.valid()) return Placement::hold();
  return cluster.instance(prefill).role == Role::kMixed ? Placement::at(prefill)
                                                        : Placement::split(prefill, StationId{});
}

StationId TetriInfer::decode_at(CallId id, StationId, const Cluster& cluster, Rng rng) {
  const Call& call = cluster.call(id);
  const Tokens need = Tokens{call.prompt} + call.predicted_low;
  const auto seen = [&](StationId s) {
    const auto i = static_cast<std::size_t>(s.index);
    return i < seen_.size() && config_.staleness > Duration{} ? seen_[i] : look(s, cluster);
  };
  std::vector<StationId> all, roomy;
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls() || x.role != Role::kDecode) continue;
    all.push_back(x.station);
    if (seen(x.station).free >= need) roomy.push_back(x.station);
  }
  if (all.empty()) return {};
  const auto [a, b] = two_of(roomy.empty() ? all : roomy, rng);
  const std::int64_t one = heavy(call) ? 1 : 0;
  const Seen x = seen(a), y = seen(b);   // share of heavy decodes with the call: x.heavy + one of x.heavy + x.light + 1
  return (y.heavy + one) * (x.heavy + x.light + 1) < (x.heavy + one) * (y.heavy + y.light + 1) ? b : a;
}

bool TetriInfer::accepts(CallId id, StationId to, Tokens context, const Cluster& cluster) const {
  using A = TetriInferConfig::Admission;
  if (!ClusterPolicy::accepts(id, to, context, cluster)) return false;
  if (config_.admission == A::kGreedy) return true;
  const KvState kv = cluster.kv(to);
  const Tokens free = tokens_of(kv, kv.available());
  if (config_.admission == A::kReserveStatic || cluster.running(to) == 0)
    return cluster.running(to) == 0 || context + cluster.call(id).predicted_low <= free;
  const auto remaining = [&](CallId c) {
    return std::max(1_tok, Tokens{cluster.call(c).predicted_low} - cluster.emitted(c));
  };
  CallId shortest;
  const std::span<const CallId> running = cluster.decoding(to);
  for (const CallId c : running)
    if (!shortest.valid() || remaining(c) < remaining(shortest)) shortest = c;
  if (!shortest.valid()) return true;
  const Tokens until = remaining(shortest);
  const Tokens grown = until * (static_cast<std::int64_t>(running.size()) + 1);   // all that run, and this one
  return context + grown <= free + cluster.context(shortest) + until;
}

TetriInfer::Seen TetriInfer::look(StationId s, const Cluster& cluster) const {
  const KvState kv = cluster.kv(s);
  Seen out{tokens_of(kv, kv.available()), 0, 0};
  for (const CallId c : cluster.decoding(s)) ++(heavy(cluster.call(c)) ? out.heavy : out.light);
  return out;
}

void TetriInfer::on_tick(Cluster& cluster) {
  seen_.resize(cluster.instances().size());
  for (const Instance& x : cluster.instances())
    if (x.role == Role::kDecode && x.runs())
      seen_[static_cast<std::size_t>(x.station.index)] = look(x.station, cluster);
  if (config_.flip_after > Duration{}) flip_idle(cluster);
}

void TetriInfer::on_idle(StationId s, Cluster& cluster) {
  idle_since_.resize(cluster.instances().size());
  idle_since_[static_cast<std::size_t>(s.index)] = cluster.now();
  if (config_.flip_after > Duration{}) cluster.wake(cluster.now() + config_.flip_after);
}

void TetriInfer::flip_idle(Cluster& cluster) {
  idle_since_.resize(cluster.instances().size());
  for (const Instance& x : cluster.instances()) {
    const bool long_idle =
        idle(x) && cluster.now() - idle_since_[static_cast<std::size_t>(x.station.index)] >= config_.flip_after;
    if (!long_idle || x.role == Role::kMixed) continue;
    int alike = 0;
    bool others_busy = false;
    for (const Instance& y : cluster.instances()) {
      if (!y.takes_calls()) continue;
      if (y.role == x.role) ++alike;
      else others_busy = others_busy || !idle(y);
    }
    if (alike < 2 || !others_busy) continue;
    cluster.set_role(x.station, x.role == Role::kPrefill ? Role::kDecode : Role::kPrefill);
    idle_since_[static_cast<std::size_t>(x.station.index)] = cluster.now();
  }
}

std::int64_t TetriInferOrder::key(CallId, const Call& call, const Progress&, const StationView*) const {
  using By = TetriInferOrderConfig::By;
  constexpr std::int64_t kLongest = std::int64_t{1} << 32;
  const std::int64_t prompt = call.prompt.value();
  const std::int64_t place = config_.by == By::kFcfs ? 0 : config_.by == By::kSjf ? prompt : kLongest - 1 - prompt;
  return arrived_ / config_.batch * kLongest + place;
}

}  // namespace orrery
