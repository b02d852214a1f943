/// orrery_fit FILE.json TABLES PREFIX DATE: fits the operators of one device from the tables TABLES/PREFIX_*.csv (the
/// layout of aiconfigurator's vLLM tables) and writes them into FILE.json, beside the data sheet that is already there.
/// Only coefficients and a residual on our own grid are written. Prints the held-out errors.
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

#include "calibrate/fit/links.hpp"
#include "calibrate/fit/operator_fit.hpp"

namespace orrery {
namespace {

const char* table_of(Op op) {
  return op == Op::kGemm ? "_gemm.csv" : op == Op::kPrefill ? "_attention_prefill.csv" : "_attention_decode.csv";
}

double rounded(double x) {  // to 6 digits: what a fit can mean
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", x);
  return std::stod(text);
}

Value percentages(const HeldOut& e) {
  Value v = Value::object();
  v["mape"] = rounded(e.mape);
  v["median"] = rounded(e.median);
  v["p95"] = rounded(e.p95);
  v["sigma"] = rounded(e.sigma);
  v["roof_alone_mape"] = rounded(e.roof_mape);
  v["residual_clipped"] = rounded(e.clipped);
  return v;
}

Value fit_one(Op op, const std::string& path, const SpeedOfLight& limits, double sm_count) {
  const SampleSet set = read_operator(op, read_csv(path), limits);
  const FitOptions options{.sm_count = sm_count, .grid = default_grid(op)};
  const HeldOut shapes = held_out(op, set.rows, options), rows = held_out(op, set.rows, options, Fold::kRows);
  std::printf("%-8s %6zu rows, %zu rejected | unseen shapes: MAPE %.2f median %.2f p95 %.2f %% (roof alone %.1f, clip binds %.2f) | "
              "unseen rows: MAPE %.2f p95 %.2f %%\n", name(op).data(), set.rows.size(), set.rejected_rows(), shapes.mape,
              shapes.median, shapes.p95, shapes.roof_mape, shapes.clipped, rows.mape, rows.p95);
  for (const auto& [reason, count] : set.rejected) std::printf("         rejected: %d %s\n", count, reason.c_str());
  OperatorModel model = fit_operator(op, set.rows, options);
  for (double& t : model.theta) t = rounded(t);
  for (std::size_t d = 0; d < model.low.size(); ++d)
    model.low[d] = rounded(model.low[d]), model.high[d] = rounded(model.high[d]);
  Value v = to_value(model);
  v["held_out_percent"] = percentages(shapes);
  v["held_out_percent_known_shapes"] = percentages(rows);
  v["rows"] = static_cast<std::int64_t>(set.rows.size());
  v["rows_rejected"] = static_cast<std::int64_t>(set.rejected_rows());
  return v;
}

Value fit_all_reduce(const std::string& prefix) {
  const CsvTable nccl = read_csv(prefix + "_nccl.csv"), custom = read_csv(prefix + "_custom_allreduce.csv");
  Value list = Value::array();
  for (const int gpus : {2, 4, 8}) {
    Value entry = Value::object(), ways = Value::array();
    entry["gpus"] = gpus;
    double worst = 0;
    for (const LinkFit& fit : {fit_link(link_points(custom, "all_reduce", "graph", gpus)),
                               fit_link(link_points(nccl, "all_reduce", "NCCL", gpus))}) {
      Value way = Value::object();
      way["alpha_s"] = rounded(fit.law.alpha_s);
      way["bytes_per_s"] = rounded(fit.law.bytes_per_s);
      way["p"] = rounded(fit.law.p);
      ways.push_back(std::move(way));
      worst = std::max(worst, fit.mape);
      std::printf("all-reduce x%d: alpha %.2f us, %.1f GB/s, p %.2f, MAPE %.1f %%\n", gpus, fit.law.alpha_s * 1e6,
                  fit.law.bytes_per_s * 1e-9, fit.law.p, fit.mape);
    }
    entry["mape_percent"] = rounded(worst);
    entry["ways"] = std::move(ways);
    list.push_back(std::move(entry));
  }
  return list;
}

void run(const std::string& file, const std::string& prefix, const std::string& date) {
  Value v = parse_json_file(file);
  const Value specs = v.at("specs");  // a copy: v grows below
  const double bandwidth = specs.at("memory_gb_per_s").as_double() * 1e9;
  // The cache figure only guards against absurd rows: three times the memory bandwidth, assumed.
  const SpeedOfLight limits{specs.at("bf16_tflops").as_double() * 1e12, bandwidth,
                            specs.at("cache_mb").as_double() * 1e6, 3 * bandwidth};
  for (const Op op : kOps) {
    v["operators"][name(op)] = fit_one(op, prefix + table_of(op), limits, specs.at("sm_count").as_double());
  }
  v["all_reduce"] = fit_all_reduce(prefix);
  v["fit"]["date"] = date;
  std::ofstream(file) << to_json(v, 1) << "\n";
}

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: orrery_fit FILE.json TABLES PREFIX DATE\n");
    return 1;
  }
  try {
    orrery::run(argv[1], std::string(argv[2]) + "/" + argv[3], argv[4]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
