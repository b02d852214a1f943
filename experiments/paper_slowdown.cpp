#include "experiments/paper_slowdown.hpp"

#include <algorithm>
#include <limits>

namespace orrery {
namespace {

constexpr std::array<std::string_view, 3> kMetrics = {"ttft", "tpot", "e2e"};
constexpr std::array<std::pair<std::string_view, double>, 3> kPercentiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}};

double at(const std::vector<double>& sorted, double p) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1))];
}

/// Sorted ratios of one metric.
std::vector<double> ratios(const RequestTimes& loaded, const RequestTimes& alone, std::size_t metric, double warmup_s) {
  std::vector<double> out;
  const std::size_t both = std::min(loaded.times().size(), alone.times().size());
  for (std::size_t i = 0; i < both; ++i) {
    const auto &x = loaded.times()[i], &reference = alone.times()[i];
    if (x.arrival < warmup_s || !reference.done || reference.seconds[metric] <= 0) continue;
    out.push_back(x.done ? x.seconds[metric] / reference.seconds[metric] : std::numeric_limits<double>::infinity());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Value one_at_a_time(Value document) {
  Value& arrival = document["workload"]["arrival"];
  arrival = Value::object();
  arrival["process"] = "constant";
  arrival["rate"] = 0.005;
  return document;
}

void RequestTimes::row(const Row& r) {
  if (times_.size() <= r.number) times_.resize(r.number + 1);
  const double tpot = r.output.value() > 1 ? to_seconds(r.tpot()) : 0;
  times_[r.number] = {
      to_seconds(r.arrival), {to_seconds(r.ttft()), tpot, to_seconds(r.e2e())}, r.status == Status::kDone};
}

bool RequestTimes::overlap() const {
  for (std::size_t i = 1; i < times_.size(); ++i)
    if (times_[i].arrival < times_[i - 1].arrival + times_[i - 1].seconds[2]) return true;
  return false;
}

Value slowdowns(const RequestTimes& loaded, const RequestTimes& alone, const PaperSlowdown& slo, double warmup_s) {
  Value v = Value::object();
  double worst = 0;
  for (std::size_t m = 0; m < kMetrics.size(); ++m) {
    const std::vector<double> sorted = ratios(loaded, alone, m, warmup_s);
    for (std::size_t p = 0; p < kPercentiles.size(); ++p) {
      const double ratio = at(sorted, kPercentiles[p].second);
      v[kMetrics[m]][kPercentiles[p].first] = ratio;
      worst = std::max(worst, ratio / slo.limits[m][p]);
    }
  }
  v["worst"] = worst;
  return v;
}

}  // namespace orrery
