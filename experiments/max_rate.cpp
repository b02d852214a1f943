#include "experiments/max_rate.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/assembly.hpp"
#include "experiments/conventions.hpp"
#include "experiments/rate_search.hpp"
#include "experiments/statistics.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

/// Does something befall the run at times of its own? Then a higher rate means more requests, not a shorter run.
bool timed(const RunConfig& c) { return !c.events.empty() || !c.capacity.given.is_null() || !c.power.empty(); }

/// The numbers of a workload that its rate is proportional to, and their values in the config.
class Rates {
 public:
  /// Keeps pointers into `workload`, to which nothing must be added afterwards.
  Rates(Value& workload, const ResolvedInfo& info, bool timed) : timed_(timed) {
    if (timed && info.requests > 0) workload["requests"] = info.requests;
    const Value* tenants = workload.find("tenants");
    if (workload.find("trace") != nullptr && workload.find("arrival") == nullptr) {
      speed_up(workload);
    } else if (tenants == nullptr || tenants->items().front().find("share") != nullptr) {
      arrivals(workload, info.workload);
    } else {
      for (std::size_t i = 0; i < tenants->items().size(); ++i) arrivals(workload["tenants"][i], Value::object());
    }
    if (!timed_ || info.requests <= 0) return;
    requests_ = &workload["requests"];
    base_requests_ = info.requests;
  }
  const std::string& obstacle() const { return obstacle_; }
  void scale(double factor) const {
    for (const auto& [place, base] : places_) *place = base * factor;
    if (requests_ != nullptr)
      *requests_ = std::max<std::int64_t>(1, std::llround(static_cast<double>(base_requests_) * factor));
  }

 private:
  /// `resolved`: the same with the arrivals that its lengths bring along.
  void arrivals(Value& workload, const Value& resolved) {
    if (workload.find("arrival") == nullptr && resolved.find("arrival") != nullptr)
      workload["arrival"] = resolved.at("arrival");
    const Value* arrival = workload.find("arrival");
    const Value* rate = arrival != nullptr ? arrival->find("rate") : nullptr;
    if (rate == nullptr && resolved.find("arrival") != nullptr) rate = resolved.at("arrival").find("rate");
    if (rate == nullptr) {
      obstacle_ = "needs arrivals with a rate, or a trace";
      return;
    }
    const double base =
        rate->is_string() ? parse_quantity(rate->as_string(), Dimension::kPerSecond) : rate->as_double();
    places_.emplace_back(&workload["arrival"]["rate"], base);
  }
  /// The times of a trace are divided by a factor, whatever else its scale says.
  void speed_up(Value& workload) {
    const Value* sessions = workload.find("sessions");
    if (sessions != nullptr && sessions->is_string() && sessions->as_string() == "closed") {
      obstacle_ = "the requests of closed sessions come when those before them are done";
      return;
    }
    if (timed_) {
      obstacle_ = "events, capacity and power have times of their own; a trace that is sped up ends before them";
      return;
    }
    const Value* scale = workload.find("scale");
    const Value* method = scale != nullptr ? scale->find("method") : nullptr;
    const double base = scale != nullptr ? scale->at("factor").as_double() : 1;
    if (scale != nullptr && (method == nullptr || method->as_string() != "speedup")) {
      obstacle_ = "needs \"method\": \"speedup\" in /workload/scale";
      return;
    }
    workload["scale"]["method"] = "speedup";
    places_.emplace_back(&workload["scale"]["factor"], base);
  }

  bool timed_;
  std::vector<std::pair<Value*, double>> places_;
  Value* requests_ = nullptr;           ///< null: as many as ever
  std::int64_t base_requests_ = 0;
  std::string obstacle_;
};

bool keeps_slo(const Assembly& a, std::uint64_t seed, Watch watch, const std::string& metrics) {
  const auto convention = make_convention(metrics);
  watch.rows = convention.get();
  Replication r = replicate(a, seed, watch);
  if (convention != nullptr) convention->apply(r.outcome.summary);
  const Summary& s = r.outcome.summary;
  return s.slo.met && s.state != LoadState::kOverloaded && !r.outcome.interrupted;
}

}  // namespace

std::string max_rate_obstacle(const Assembly& a) {
  if (a.config.slo.empty()) return "needs limits in /slo";
  Value workload = a.config.workload;
  return Rates(workload, a.workload, timed(a.config)).obstacle();
}

MaxRate find_max_rate(Assembly a, const std::vector<std::uint64_t>& seeds, const Watch& watch,
                      const std::string& metrics) {
  MaxRate out;
  out.offered_per_s = a.workload.rate;
  const Rates rates(a.config.workload, a.workload, timed(a.config));
  RateSearch search;
  search.start = a.workload.rate;
  search.tolerance = kMaxRateTolerance;
  const double longest = static_cast<double>(kMaxTraceSeconds) * 0.9;   // s; more, and the workload is refused
  search.slowest = std::max(a.workload.rate / 1024, static_cast<double>(a.workload.requests) / longest);
  search.fastest = a.workload.rate * 1024;
  const std::int64_t stop = a.config.stop.requests;
  const auto stopped = [&] { return watch.interrupt != nullptr && watch.interrupt->load(std::memory_order_relaxed); };
  for (const std::uint64_t seed : seeds) {
    out.per_s.push_back(highest_rate(search, [&](double rate) {
      if (stopped()) return false;
      rates.scale(rate / a.workload.rate);
      if (timed(a.config) && stop > 0)
        a.config.stop.requests =
            std::max<std::int64_t>(1, std::llround(static_cast<double>(stop) * rate / a.workload.rate));
      ++out.simulations;
      return keeps_slo(a, seed, watch, metrics);
    }));
  }
  if (stopped()) out.per_s.clear();
  return out;
}

Value max_rate_summary(const MaxRate& m) {
  Value v = Value::object();
  const double mean = mean_of(m.per_s);
  v["per_s"] = mean;
  v["of_offered"] = m.offered_per_s > 0 ? mean / m.offered_per_s : 0.0;
  v["by_seed"] = Value::array();
  for (const double one : m.per_s) v["by_seed"].push_back(one);
  if (const auto i = t_interval(m.per_s)) {
    v["interval"] = Value::array();
    v["interval"].push_back(i->low);
    v["interval"].push_back(i->high);
  }
  v["tolerance"] = kMaxRateTolerance;
  v["simulations"] = m.simulations;
  return v;
}

}  // namespace orrery
