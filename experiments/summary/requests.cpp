#include "experiments/summary/sections.hpp"

#include <algorithm>

#include "experiments/run_config.hpp"

namespace orrery::summary {

void add_counts(Value& out, const ClassCounts& c, double window_s) {
  Value& r = out["requests"];
  r["offered"] = c.offered;
  for (const Status st : {Status::kDone, Status::kRejected, Status::kFailed, Status::kCancelled, Status::kTimedOut,
                          Status::kInFlight})
    r[st == Status::kDone ? "completed" : name(st)] = c.requests[static_cast<std::size_t>(st)];
  r["retries"] = c.retries;
  const auto offered = static_cast<double>(c.offered), good = static_cast<double>(c.good);
  add_experience(out, c.qoe);
  out["slo"]["attainment"] = offered > 0 ? good / offered : 0.0;
  out["slo"]["goodput_rps"] = window_s > 0 ? good / window_s : 0.0;
}

Value requests(const Summary& s) {
  const auto count = [&](Status st) { return s.requests[static_cast<std::size_t>(st)]; };
  Value v = Value::object();
  v["offered"] = s.offered;
  v["completed"] = count(Status::kDone);
  v["rejected"] = count(Status::kRejected);
  v["failed"] = count(Status::kFailed);
  v["cancelled"] = count(Status::kCancelled);
  v["timed_out"] = count(Status::kTimedOut);
  v["in_flight"] = count(Status::kInFlight);
  v["retries"] = s.retries;
  v["measured"] = s.measured;
  return v;
}

Value throughput(const Summary::Throughput& t) {
  Value v = Value::object();
  v["requests_per_s"] = t.requests_per_s;
  v["prompt_tokens_per_s"] = t.prompt_tokens_per_s;
  v["cached_prompt_tokens_per_s"] = t.cached_prompt_tokens_per_s;
  v["output_tokens_per_s"] = t.output_tokens_per_s;
  return v;
}

Value slo(const Summary& s, const std::vector<std::string>& classes) {
  Value v = Value::object();
  if (s.slo.limits.empty()) return v;
  v["attainment"] = s.slo.attainment;
  v["goodput_rps"] = s.slo.goodput_rps;
  v["met"] = s.slo.met;
  v["limits"] = Value::array();
  for (const SloResult& r : s.slo.limits) {
    Value l = Value::object();
    l["key"] = slo_key(r.limit);
    const auto index = static_cast<std::size_t>(std::max(0, r.limit.request_class));
    if (r.limit.request_class >= 0 && index < classes.size()) l["class"] = classes[index];
    l["limit_s"] = to_seconds(r.limit.limit);
    l["value_s"] = r.value_s;  // null: misses reach into this percentile
    l["attainment"] = r.attainment;
    l["met"] = r.met;
    v["limits"].push_back(std::move(l));
  }
  return v;
}

}  // namespace orrery::summary
