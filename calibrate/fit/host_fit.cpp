#include "calibrate/fit/host_fit.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "calibrate/fit/levenberg.hpp"
#include "hwmodels/operator_model.hpp"

namespace orrery {
namespace {

double predicted(double step_s, double per_sequence_s, const HostPoint& p) {
  return p.device_s + step_s + per_sequence_s * p.sequences;
}

std::vector<double> terms(const std::vector<HostPoint>& points) {
  return fit_positive({5e-4, 5e-5}, points.size(), [&](std::span<const double> t, std::size_t i) {
    return predicted(t[0], t[1], points[i]) / points[i].measured_s;
  });
}

/// Adds a point's error to a mean over `count` and to a worst one, in percent.
void add_error(double step_s, double per_sequence_s, const HostPoint& p, std::size_t count, double& mean,
               double& worst) {
  const double error = 100 * std::abs(predicted(step_s, per_sequence_s, p) / p.measured_s - 1);
  mean += error / static_cast<double>(count);
  worst = std::max(worst, error);
}

}  // namespace

HostFit fit_host(const std::vector<HostPoint>& points) {
  const auto all = terms(points);
  HostFit fit;
  fit.step_s = all[0];
  fit.per_sequence_s = all[1];
  std::set<std::string> groups;
  double ignored = 0;
  for (const HostPoint& p : points) {
    add_error(all[0], all[1], p, points.size(), fit.mape, fit.worst);
    add_error(0, 0, p, points.size(), fit.bare_mape, ignored);
    groups.insert(p.group);
  }
  if (groups.size() < 2) return fit;
  for (const std::string& group : groups) {
    std::vector<HostPoint> others;
    std::copy_if(points.begin(), points.end(), std::back_inserter(others),
                 [&](const HostPoint& p) { return p.group != group; });
    const auto t = terms(others);
    for (const HostPoint& p : points) {
      if (p.group == group) add_error(t[0], t[1], p, points.size(), fit.left_out_mape, fit.left_out_worst);
    }
  }
  return fit;
}

std::vector<HostPoint> served_points(const CsvTable& t, const std::string& gpu, const Hardware& hardware) {
  const std::size_t model = t.column("model_id"), kind = t.column("architecture"),
                    precision = t.column("weight_precision"), device = t.column("gpu_model"),
                    tp = t.column("tensor_parallel"), batch = t.column("avg_batch_size"),
                    length = t.column("avg_output_len"), itl = t.column("median_itl_ms");
  std::vector<HostPoint> points;
  for (std::size_t row = 0; row < t.rows.size(); ++row) {
    if (t.text(row, device) != gpu || t.text(row, precision) != "bfloat16" || t.text(row, kind) != "Dense Transformer")
      continue;
    const std::string name = t.text(row, model).substr(t.text(row, model).find('/') + 1);
    const double sequences = t.number(row, batch);
    StepShape s;
    s.decodes = Tokens{std::llround(sequences)};
    s.sequences = s.outputs = static_cast<std::int32_t>(s.decodes.value());
    s.decode_context = Tokens{static_cast<std::int64_t>(sequences * (250 + 0.55 * t.number(row, length)))};
    HostTerms none;
    const OperatorCostModel cost(load_model(name, {}), hardware, {static_cast<int>(t.number(row, tp)), 1}, none);
    points.push_back({name, to_seconds(cost.price({&s, 1}, 0).first), sequences, 1e-3 * t.number(row, itl)});
  }
  return points;
}

}  // namespace orrery
