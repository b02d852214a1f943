#include "traces/workload/parts.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

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

}  // namespace

std::unique_ptr<RequestSource> generated_workload(WorkloadContext& c, ObjectReader& in, const Value& workload) {
  for (const char* key : {"scale", "window"}) {
    if (in.take(key) != nullptr) in.error(key, "needs a trace");
  }
  const Value* lengths_value = in.take("lengths");
  if (lengths_value == nullptr) {
    c.errors.add(workload.pointer(), "expected \"lengths\" or \"trace\"");
  }
  LengthChoice lengths = lengths_value == nullptr ? LengthChoice{} : read_lengths(c, *lengths_value, false);
  std::optional<ArrivalChoice> arrival;
  if (const Value* v = in.take("arrival")) {
    arrival = read_arrival(c, *v, lengths.fitted);
  } else if (lengths.fitted && lengths.fitted->rate > 0) {
    arrival = ArrivalChoice{};
    arrival->process = ArrivalKind::kGamma;
    arrival->rate = lengths.fitted->rate;
    arrival->cv = lengths.fitted->cv;
    arrival->label = "gamma " + number_text(arrival->rate) + "/s cv " + number_text(arrival->cv);
  } else if (lengths.model) {
    in.error("arrival", "missing key");
  }
  std::optional<SessionRules> sessions;
  const Value* sessions_value = in.take("sessions");
  if (sessions_value != nullptr) sessions = read_sessions(c, *sessions_value);
  std::vector<DeclaredPrefix> prefixes;
  if (const Value* v = in.take("prefixes")) prefixes = read_prefixes(c, *v);
  for (const DeclaredPrefix& p : prefixes) {
    if (lengths.rules.max_total > 0 && p.tokens > lengths.rules.max_total - 2) {
      in.error("prefixes", "a prefix of " + std::to_string(p.tokens) + " tokens leaves no room within max_total");
    }
  }
  std::int64_t requests = kDefaultRequests;
  in.integer("requests", requests, {1, 1e15});
  in.finish();
  if (arrival) check_horizon(c, in, requests, arrival->process == ArrivalKind::kClosed || sessions ? 0 : arrival->rate);
  c.errors.throw_if_any();

  ResolvedInfo& info = c.info;
  DeclaredPrefixes declared(prefixes, c.seed);
  info.workload = workload;
  info.workload["arrival"] = resolved(*arrival);
  if (const Value* given = workload.find("arrival")) {
    for (const auto& [key, value] : given->members()) info.workload["arrival"][key] = value;
  }
  info.workload["requests"] = requests;
  info.requests = requests;
  info.random = true;
  info.rate = arrival->process == ArrivalKind::kClosed ? 0 : arrival->rate;
  info.mean_prompt = lengths.model->mean_prompt() + declared.mean_tokens();
  info.mean_output = lengths.model->mean_output();
  if (lengths.fitted) {
    info.longest_prompt = lengths.fitted->prompt.max();
    for (const QuantileGrid& g : lengths.fitted->output)
      info.longest_total = std::max(info.longest_total, info.longest_prompt + g.max());
  }
  std::int64_t longest_prefix = 0;
  for (const DeclaredPrefix& p : prefixes) longest_prefix = std::max(longest_prefix, p.tokens);
  const bool bounded = info.longest_total > 0 && !sessions;
  info.longest_prompt = bounded ? info.longest_prompt + longest_prefix : 0;
  info.longest_total = bounded ? info.longest_total + longest_prefix : 0;
  if (const std::int64_t most = lengths.rules.max_total; most > 0) {
    info.longest_prompt = info.longest_prompt > 0 ? std::min(info.longest_prompt, most - 1) : most - 1;
    info.longest_total = info.longest_total > 0 ? std::min(info.longest_total, most) : most;
  }
  info.summary = lengths.label + ", " + arrival->label + (sessions ? " sessions" : "") + ", " +
                 std::to_string(requests) + " requests";

  std::optional<PrefixReuse> reuse;
  if (lengths.fitted && lengths.fitted->reuse) {
    if (prefixes.empty() && !sessions && arrival->process != ArrivalKind::kClosed) {
      reuse.emplace(*lengths.fitted->reuse, lengths.fitted->prompt, c.seed);
    } else {
      info.notes.push_back("the shared prefixes of " + lengths.label +
                           " are not generated beside prefixes, sessions or a closed loop");
    }
  }
  info.shares_prefixes = sessions || !prefixes.empty() || reuse;
  Lengths drawn(lengths.model, lengths.rules, c.seed);
  if (arrival->process == ArrivalKind::kClosed || sessions) {
    SessionRules rules = sessions.value_or(SessionRules{});
    if (arrival->process == ArrivalKind::kClosed) {
      rules.pause = *arrival->think;
      return std::make_unique<SessionSource>(requests, arrival->users, std::move(rules), std::move(drawn),
                                             std::move(declared), c.seed);
    }
    info.notes.push_back("arrival.rate counts sessions, not requests");
    return std::make_unique<SessionSource>(requests, arrival->make(c.seed), std::move(rules), std::move(drawn),
                                           std::move(declared), c.seed);
  }
  return std::make_unique<GeneratedSource>(requests, arrival->make(c.seed), std::move(drawn), std::move(declared),
                                           std::move(reuse));
}

}  // namespace orrery
