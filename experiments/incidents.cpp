#include "experiments/incidents.hpp"

#include <algorithm>

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
  int quiet = 0;
  const auto first = static_cast<std::size_t>(to_ps(at) / to_ps(kWindow));
  for (std::size_t w = first; w < windows_.size() && quiet < kWindowsToRecover; ++w) {
    quiet = bad(w) ? 0 : quiet + 1;
    if (quiet > 0) continue;
    h.missed += windows_[w].offered - windows_[w].good;
    h.bad += kWindow;
    h.after = Time{static_cast<std::int64_t>(w + 1) * kWindow} - at;
  }
  if (quiet == 0 && h.bad > Duration{}) h.after = kNever - Time{};
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
    v["recovered_s"] = harm.after == kNever - Time{} ? Value() : Value(to_seconds(harm.after));
    v["requests_hurt"] = i.calls;
    v["requests_missed"] = harm.missed;
    v["slo_minutes_lost"] = to_seconds(harm.bad) / 60;
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace orrery
