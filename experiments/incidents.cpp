#include "experiments/incidents.hpp"

#include <algorithm>
#include <map>

namespace orrery {

IncidentMeter::IncidentMeter(std::vector<SloLimit> slo, RowSink* next) : slo_(std::move(slo)), next_(next) {
  if (slo_.empty()) return;
  share_ = 0;
  for (const SloLimit& l : slo_) share_ = std::max(share_, l.percentile / 100);
}

/// Done, and within every limit on its own times; a gap between tokens is no request's.
bool IncidentMeter::good(const Row& row) const {
  if (row.status != Status::kDone) return false;
  return std::all_of(slo_.begin(), slo_.end(), [&](const SloLimit& l) {
    if (l.request_class >= 0 && l.request_class != row.request_class) return true;
    switch (l.metric) {
      case Metric::kTtft: return row.ttft() <= l.limit;
      case Metric::kTpot: return row.output.value() < 2 || row.tpot() <= l.limit;
      case Metric::kE2e: return row.e2e() <= l.limit;
      case Metric::kQueue: return row.queue() <= l.limit;
      case Metric::kItl: return true;
    }
    return true;
  });
}

void IncidentMeter::row(const Row& row) {
  const auto w = static_cast<std::size_t>(to_ps(row.arrival) / to_ps(kWindow));
  if (w >= windows_.size()) windows_.resize(w + 1);
  ++windows_[w].offered;
  windows_[w].good += good(row);
  if (next_ != nullptr) next_->row(row);
}

bool IncidentMeter::bad(std::size_t window) const {
  const Window& w = windows_[window];
  return static_cast<double>(w.good) < share_ * static_cast<double>(w.offered);
}

IncidentMeter::Harm IncidentMeter::harm(Time at) const {
  Harm h;
  int quiet = 0;   // windows in a row that are not bad
  const auto first = static_cast<std::size_t>(to_ps(at) / to_ps(kWindow));
  for (std::size_t w = first; w < windows_.size() && quiet < kWindowsToRecover; ++w) {
    quiet = bad(w) ? 0 : quiet + 1;
    if (quiet == kWindowsToRecover) h.recovery = Recovery::kSeen;
    if (quiet > 0) continue;
    h.missed += windows_[w].offered - windows_[w].good;
    h.bad += kWindow;
    h.after = Time{static_cast<std::int64_t>(w + 1) * kWindow} - at;
  }
  if (quiet == 0 && h.bad > Duration{}) h.recovery = Recovery::kNot;
  return h;
}

Value incident_results(const std::vector<Operation>& operations, const std::vector<Incident>& incidents,
                       const std::vector<std::string>& pools, const IncidentMeter& meter) {
  Value out = Value::array();
  const auto seconds_after = [](Time from, Time to) { return to == kNever ? Value() : Value(to_seconds(to - from)); };
  for (const Incident& i : incidents) {
    const Operation& o = operations[i.operation];
    const IncidentMeter::Harm harm = meter.harm(i.at);
    Value v = Value::object();
    v["event"] = static_cast<std::int64_t>(i.operation);
    v["what"] = name(o.kind);
    const auto pool = [&](PoolId p) { return p.valid() ? pools[static_cast<std::size_t>(p.index)] : "all pools"; };
    v["pool"] = pool(o.pool);
    if (o.link.valid()) v["to"] = pool(o.link);
    v["instances"] = static_cast<std::int64_t>(i.instances);
    v["at_s"] = to_seconds(i.at - Time{});
    v["detect_s"] = seconds_after(i.at, i.detected);
    v["restored_s"] = seconds_after(i.at, i.ended);
    const bool seen = harm.recovery == IncidentMeter::Recovery::kSeen;
    v["recovered"] = seen ? "yes" : harm.recovery == IncidentMeter::Recovery::kNot ? "no" : "not seen";
    v["recovered_s"] = seen ? Value(to_seconds(harm.after)) : Value();
    v["requests_hurt"] = i.calls;
    v["requests_missed"] = harm.missed;
    v["slo_minutes_lost"] = to_seconds(harm.bad) / 60;
    out.push_back(std::move(v));
  }
  return out;
}

namespace {

/// Count, mean and maximum of what is known.
class Times {
 public:
  void add(const Value& seconds) {
    if (seconds.is_null()) return;
    ++count_;
    sum_ += seconds.as_double();
    max_ = std::max(max_, seconds.as_double());
  }
  Value value() const {
    Value v = Value::object();
    v["count"] = count_;
    if (count_ == 0) return v;
    v["mean"] = sum_ / static_cast<double>(count_);
    v["max"] = max_;
    return v;
  }

 private:
  std::int64_t count_ = 0;
  double sum_ = 0, max_ = 0;
};

struct Total {
  Value first;                 ///< of its incidents
  std::int64_t count = 0, instances = 0, hurt = 0, missed = 0, recovered = 0, not_recovered = 0, not_seen = 0;
  double minutes = 0;
  Times detect, restored, after;

  void add(const Value& i) {
    if (count++ == 0) first = i;
    instances += i.at("instances").as_int();
    hurt += i.at("requests_hurt").as_int();
    missed += i.at("requests_missed").as_int();
    minutes += i.at("slo_minutes_lost").as_double();
    const std::string& seen = i.at("recovered").as_string();
    ++(seen == "yes" ? recovered : seen == "no" ? not_recovered : not_seen);
    detect.add(i.at("detect_s"));
    restored.add(i.at("restored_s"));
    after.add(i.at("recovered_s"));
  }
  Value value() const {
    Value v = Value::object();
    for (const auto* key : {"event", "what", "pool", "to"})
      if (const Value* same = first.find(key); same != nullptr) v[key] = *same;
    v["count"] = count;
    v["instances"] = instances;
    v["requests_hurt"] = hurt;
    v["requests_missed"] = missed;
    v["slo_minutes_lost"] = minutes;
    v["detect_s"] = detect.value();
    v["restored_s"] = restored.value();
    v["recovered_s"] = after.value();
    v["recovered"]["yes"] = recovered;
    v["recovered"]["no"] = not_recovered;
    v["recovered"]["not_seen"] = not_seen;
    return v;
  }
};

}  // namespace

Value incident_totals(const std::vector<Value>& replications) {
  std::map<std::int64_t, Total> by_event;
  for (const Value& incidents : replications)
    for (const Value& i : incidents.items()) by_event[i.at("event").as_int()].add(i);
  Value out = Value::array();
  for (const auto& [event, total] : by_event) out.push_back(total.value());
  return out;
}

}  // namespace orrery
