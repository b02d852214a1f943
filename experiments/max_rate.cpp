#include "experiments/max_rate.hpp"

#include "experiments/conventions.hpp"
#include "experiments/rate_search.hpp"
#include "experiments/statistics.hpp"

namespace orrery {
namespace {

/// The numbers of a workload that its rate is proportional to, and their values in the config.
class Rates {
 public:
  Rates(Value& workload, const ResolvedInfo& info) {
    const Value* tenants = workload.find("tenants");
    if (workload.find("trace") != nullptr && workload.find("arrival") == nullptr) {
      speed_up(workload);
    } else if (tenants == nullptr || tenants->items().front().find("share") != nullptr) {
      arrivals(workload, info.workload);
    } else {
      for (std::size_t i = 0; i < tenants->items().size(); ++i) arrivals(workload["tenants"][i], Value::object());
    }
  }
  const std::string& obstacle() const { return obstacle_; }
  void scale(double factor) const {
    for (const auto& [place, base] : places_) *place = base * factor;
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

  std::vector<std::pair<Value*, double>> places_;
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
  return Rates(workload, a.workload).obstacle();
}

MaxRate find_max_rate(Assembly a, const std::vector<std::uint64_t>& seeds, const Watch& watch,
                      const std::string& metrics) {
  MaxRate out;
  out.offered_per_s = a.workload.rate;
  const Rates rates(a.config.workload, a.workload);
  RateSearch search;
  search.start = a.workload.rate;
  search.tolerance = kMaxRateTolerance;
  search.slowest = a.workload.rate / 1024;
  search.fastest = a.workload.rate * 1024;
  const auto stopped = [&] { return watch.interrupt != nullptr && watch.interrupt->load(std::memory_order_relaxed); };
  for (const std::uint64_t seed : seeds) {
    out.per_s.push_back(highest_rate(search, [&](double rate) {
      if (stopped()) return false;
      rates.scale(rate / a.workload.rate);
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
