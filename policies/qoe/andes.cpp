#include "policies/qoe/andes.hpp"

#include <algorithm>

namespace orrery {
namespace {

constexpr double kSecondsPerToken = 3.0 / 90000;   ///< of preempting a call and bringing it back (andes_scheduler.py)

}  // namespace

void describe(Describer& d, AndesConfig& c) {
  d.field("horizon", c.horizon, {0.01, 3600}, "QoE is foreseen for this time");
  d.field("token_latency", c.token_latency, {1e-4, 10}, "Time between tokens that is reckoned with");
  d.field("every", c.every, {1, 10000}, "Iterations between changes of who runs");
  d.field("kv_threshold", c.kv_threshold, {0, 1}, "Share of KV in use from which calls are preempted");
  d.field("running_bonus", c.running_bonus, {0, 10}, "Extra value of a call that runs already");
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once");
  d.field("token_budget", c.token_budget, {1, 1048576}, "Prompt tokens of one iteration; a longer prompt runs alone");
  d.field("ttft", c.ttft, {0, 3600}, "Expected time to the first token, where a class states none");
  d.field("tpot", c.tpot, {1e-3, 60}, "Expected time per token, where a class states none");
}

void Andes::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  if (station.waiting.empty() && station.swapped.empty()) {
    plan.decode(station.group);
    return;
  }
  plan.repeat = Repeat::once();
  const Blocks used = station.kv.total - station.kv.available();
  const bool tight =
      static_cast<double>(used.value()) >= config_.kv_threshold * static_cast<double>(station.kv.total.value());
  if (tight && station.group.size > 0) {
    if (station.group.clock % config_.every == 0) return act(station, plan);
    plan.decode(station.group);
    return;
  }
  plan.decode(station.group);
  std::vector<Candidate> all = outside(station);
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& a, const Candidate& b) { return a.per_block() > b.per_block(); });
  if (plan.leave().empty()) take(station, plan, all);
}

Reading Andes::reading(const StationView& s, CallId id) const {
  const Call& call = s.call(id);
  const bool states = call.request_class < classes_.size() && classes_[call.request_class].tpot > Duration{};
  const Duration ttft = states ? classes_[call.request_class].ttft : config_.ttft;
  const Duration tpot = states ? classes_[call.request_class].tpot : config_.tpot;
  return {to_seconds(ttft), to_seconds(tpot), to_seconds(s.now - call.arrival), s.emitted(id).value()};
}

Andes::Candidate Andes::candidate(const StationView& s, CallId id, bool runs) const {
  const Reading r = reading(s, id);
  const double horizon = to_seconds(config_.horizon), latency = to_seconds(config_.token_latency);
  const double gain = r.q_serve(horizon, latency) - r.q_wait(horizon);
  const Tokens room = std::max({s.context(id), s.target(id), Tokens{s.progress(id).reserved}}) + 1_tok;
  return {id, gain * (runs ? 1 + config_.running_bonus : 1), s.kv.blocks_for(room).value(), runs};
}

/// Who does not run, in queue order; swapped calls first.
std::vector<Andes::Candidate> Andes::outside(const StationView& s) const {
  std::vector<Candidate> all;
  for (CallId id : s.swapped) all.push_back(candidate(s, id, false));
  for (CallId id : s.waiting) all.push_back(candidate(s, id, false));
  std::sort(all.begin(), all.end(), [&](const Candidate& a, const Candidate& b) {
    return s.call(a.call).number < s.call(b.call).number;
  });
  return all;
}

/// So many that the reader whose slack is the tenth smallest of a hundred does not feel it.
int Andes::preemption_cap(const StationView& s, const std::vector<Candidate>& running) const {
  std::vector<double> slacks;
  double blocks = 0;
  for (const Candidate& c : running) {
    slacks.push_back(reading(s, c.call).slack());
    blocks += static_cast<double>(c.blocks);
  }
  std::sort(slacks.begin(), slacks.end());
  const double p10 = slacks[(slacks.size() - 1) / 10];
  const double overhead = kSecondsPerToken * static_cast<double>(s.kv.block_tokens.value()) * blocks /
                          static_cast<double>(running.size());
  if (p10 < overhead) return 0;
  return static_cast<int>(std::min(p10 / overhead, static_cast<double>(running.size())));
}

void Andes::act(const StationView& s, BatchPlan& plan) const {
  std::vector<Candidate> running, chosen = outside(s);
  for (CallId id : s.group.members) running.push_back(candidate(s, id, true));
  std::sort(running.begin(), running.end(), [&](const Candidate& a, const Candidate& b) {
    const double x = a.per_block(), y = b.per_block();
    return x != y ? x < y : s.call(a.call).number > s.call(b.call).number;
  });
  double best = chosen.front().per_block();
  for (const Candidate& c : chosen) best = std::max(best, c.per_block());
  const int cap = preemption_cap(s, running);
  std::int64_t room = s.kv.available().value();
  for (int i = 0; i < cap && running[static_cast<std::size_t>(i)].per_block() <= best; ++i) {
    const Candidate& c = running[static_cast<std::size_t>(i)];
    if (s.context(c.call) >= s.kv.largest_lease()) continue;   // it could never come back
    chosen.push_back(c);                                       // its place is open to all
    room += c.blocks;
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const Candidate& a, const Candidate& b) { return a.density() > b.density(); });
  std::vector<Candidate> picked;
  for (const Candidate& c : chosen) {
    const bool fits = c.blocks <= room && (c.runs || c.value > 0);
    if (fits) room -= c.blocks;
    if (fits && !c.runs) picked.push_back(c);
    if (!fits && c.runs) plan.preempt(c.call, plan.leaving(c.call));
  }
  plan.decode(s.group);
  take(s, plan, picked);
}

/// In this order, as long as there is room.
void Andes::take(const StationView& s, BatchPlan& plan, const std::vector<Candidate>& chosen) const {
  Tokens left = config_.token_budget;
  for (const Candidate& c : chosen) {
    if (plan.running() >= config_.max_running) break;
    if (s.progress(c.call).stage == Stage::kSwapped) {
      plan.resume(c.call);
      continue;
    }
    const Tokens prompt = s.target(c.call) - s.cached_prefix(c.call);
    if (prompt > left && !plan.chunks().empty()) continue;
    if (plan.admit(c.call)) left -= plan.prefill(c.call, Tokens::max());
  }
  if (!plan.decodes()) plan.decode(s.group);   // nobody ran, but some came back
}

}  // namespace orrery
