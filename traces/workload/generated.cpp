#include "traces/workload/parts.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "traces/generated_source.hpp"

namespace orrery {
namespace {

void check_horizon(WorkloadContext& c, const ObjectReader& in, std::int64_t requests, double rate) {
  if (rate > 0 && static_cast<double>(requests) / rate > static_cast<double>(kMaxTraceSeconds)) {
    c.errors.add(in.pointer() + "/requests", "at " + number_text(rate) + "/s these last " +
                                                 number_text(std::floor(static_cast<double>(requests) / rate)) +
                                                 " s, more than the 9000000 s a run can simulate");
  }
}

/// A `workload` whose requests are drawn, as it stands.
struct GeneratedChoice {
  LengthChoice lengths;
  std::optional<ArrivalChoice> arrival;
  std::optional<SessionRules> sessions;
  std::vector<DeclaredPrefix> prefixes;
  std::int64_t requests = kDefaultRequests;

  bool closed() const { return arrival->process == ArrivalKind::kClosed; }
};

/// That of the config, or the one that a fitted workload model brings along.
std::optional<ArrivalChoice> read_arrival_of(WorkloadContext& c, ObjectReader& in, const LengthChoice& lengths) {
  if (const Value* v = in.take("arrival")) return read_arrival(c, *v, lengths.fitted);
  if (lengths.fitted && lengths.fitted->rate > 0) {
    ArrivalChoice a;
    a.process = ArrivalKind::kGamma;
    a.rate = lengths.fitted->rate;
    a.cv = lengths.fitted->cv;
    a.label = "gamma " + number_text(a.rate) + "/s cv " + number_text(a.cv);
    return a;
  }
  if (lengths.model) in.error("arrival", "missing key");
  return std::nullopt;
}

GeneratedChoice read_generated(WorkloadContext& c, ObjectReader& in, const Value& workload) {
  GeneratedChoice g;
  for (const char* key : {"scale", "window"}) {
    if (in.take(key) != nullptr) in.error(key, "needs a trace");
  }
  if (const Value* v = in.take("lengths")) g.lengths = read_lengths(c, *v, false);
  else c.errors.add(workload.pointer(), "expected \"lengths\" or \"trace\"");
  g.arrival = read_arrival_of(c, in, g.lengths);
  if (const Value* v = in.take("sessions")) g.sessions = read_sessions(c, *v);
  if (const Value* v = in.take("prefixes")) g.prefixes = read_prefixes(c, *v);
  for (const DeclaredPrefix& p : g.prefixes) {
    if (g.lengths.rules.max_total > 0 && p.tokens > g.lengths.rules.max_total - 2) {
      in.error("prefixes", "a prefix of " + std::to_string(p.tokens) + " tokens leaves no room within max_total");
    }
  }
  in.integer("requests", g.requests, {1, 1e15});
  in.finish();
  if (g.arrival) check_horizon(c, in, g.requests, g.closed() || g.sessions ? 0 : g.arrival->rate);
  return g;
}

/// The longest prompt and prompt + output, 0 where there is no bound.
void tell_longest(const GeneratedChoice& g, ResolvedInfo& info) {
  if (g.lengths.fitted) {
    info.longest_prompt = g.lengths.fitted->prompt.max();
    for (const QuantileGrid& output : g.lengths.fitted->output)
      info.longest_total = std::max(info.longest_total, info.longest_prompt + output.max());
  }
  std::int64_t longest_prefix = 0;
  for (const DeclaredPrefix& p : g.prefixes) longest_prefix = std::max(longest_prefix, p.tokens);
  const bool bounded = info.longest_total > 0 && !g.sessions;
  info.longest_prompt = bounded ? info.longest_prompt + longest_prefix : 0;
  info.longest_total = bounded ? info.longest_total + longest_prefix : 0;
  if (const std::int64_t most = g.lengths.rules.max_total; most > 0) {
    info.longest_prompt = info.longest_prompt > 0 ? std::min(info.longest_prompt, most - 1) : most - 1;
    info.longest_total = info.longest_total > 0 ? std::min(info.longest_total, most) : most;
  }
}

void tell(const GeneratedChoice& g, const Value& workload, const DeclaredPrefixes& declared, ResolvedInfo& info) {
  info.workload = workload;
  info.workload["arrival"] = resolved(*g.arrival);
  if (const Value* given = workload.find("arrival")) {
    for (const auto& [key, value] : given->members()) info.workload["arrival"][key] = value;
  }
  info.workload["requests"] = g.requests;
  info.requests = g.requests;
  info.random = true;
  info.rate = g.closed() ? 0 : g.arrival->rate;
  info.mean_prompt = g.lengths.model->mean_prompt() + declared.mean_tokens();
  info.mean_output = g.lengths.model->mean_output();
  tell_longest(g, info);
  info.summary = g.lengths.label + ", " + g.arrival->label + (g.sessions ? " sessions" : "") + ", " +
                 std::to_string(g.requests) + " requests";
}

/// The shared prefixes of a fitted workload model, where they can be generated.
std::optional<PrefixReuse> reuse_of(const GeneratedChoice& g, WorkloadContext& c) {
  if (!g.lengths.fitted || !g.lengths.fitted->reuse) return std::nullopt;
  if (g.prefixes.empty() && !g.sessions && !g.closed())
    return PrefixReuse(*g.lengths.fitted->reuse, g.lengths.fitted->prompt, c.seed);
  c.info.notes.push_back("the shared prefixes of " + g.lengths.label +
                         " are not generated beside prefixes, sessions or a closed loop");
  return std::nullopt;
}

}  // namespace

std::unique_ptr<RequestSource> generated_workload(WorkloadContext& c, ObjectReader& in, const Value& workload) {
  const GeneratedChoice g = read_generated(c, in, workload);
  c.errors.throw_if_any();

  ResolvedInfo& info = c.info;
  DeclaredPrefixes declared(g.prefixes, c.seed);
  tell(g, workload, declared, info);
  std::optional<PrefixReuse> reuse = reuse_of(g, c);
  info.shares_prefixes = g.sessions || !g.prefixes.empty() || reuse;
  Lengths drawn(g.lengths.model, g.lengths.rules, c.seed);
  if (!g.closed() && !g.sessions)
    return std::make_unique<GeneratedSource>(g.requests, g.arrival->make(c.seed), std::move(drawn),
                                             std::move(declared), std::move(reuse));
  SessionRules rules = g.sessions.value_or(SessionRules{});
  if (g.closed()) {
    rules.pause = *g.arrival->think;
    return std::make_unique<SessionSource>(g.requests, g.arrival->users, std::move(rules), std::move(drawn),
                                           std::move(declared), c.seed);
  }
  info.notes.push_back("arrival.rate counts sessions, not requests");
  return std::make_unique<SessionSource>(g.requests, g.arrival->make(c.seed), std::move(rules), std::move(drawn),
                                         std::move(declared), c.seed);
}

}  // namespace orrery
