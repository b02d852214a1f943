#include "calibrate/sweep/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "calibrate/fit/least_squares.hpp"
#include "calibrate/fit/operator_fit.hpp"
#include "calibrate/fit/residual_fit.hpp"
#include "hwmodels/operator_model.hpp"

namespace orrery {
namespace {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;

constexpr int kFolds = 5;
constexpr std::size_t kLeastPoints = 10;   // of an operator, for a fit that is tested on a fifth of them

/// One processor takes rows one after the other; many share tiles.
Op law_of(SweepOp op, double units) {
  if (op == SweepOp::kPrefill) return units > 1 ? Op::kPrefill : Op::kPrefillRows;
  if (op == SweepOp::kExperts) return Op::kExperts;
  if (op == SweepOp::kGemm) return units > 1 ? Op::kGemm : Op::kGemmRows;
  return Op::kDecode;
}

std::string percent(double x) {
  char out[32];
  std::snprintf(out, sizeof out, "%.1f %%", x);
  return out;
}

std::string shape_text(Op op, const Shape& x) {
  std::string out;
  const auto names = shape_names(op);
  for (std::size_t d = 0; d < names.size(); ++d) {
    out +=
        (d > 0 ? " " : "") + std::string(names[d]) + "=" + std::to_string(static_cast<std::int64_t>(std::lround(x[d])));
  }
  return out;
}

std::string_view key_of(DecodeVariant v) {
  constexpr std::string_view keys[] = {"unified_max", "fp8", "kivi_4", "kivi_2"};
  return keys[static_cast<std::size_t>(v)];
}

KvFormat format_of(DecodeVariant v) {
  if (v == DecodeVariant::kUnifiedMax) return {};
  if (v == DecodeVariant::kFp8) return {.name = KvFormat::Name::kFp8};
  return {.name = KvFormat::Name::kKivi,
          .bits = v == DecodeVariant::kKivi4 ? 4 : 2,
          .group = 32,
          .residual = kSweptResidual};
}

std::string two_digits(double x) {
  char out[32];
  std::snprintf(out, sizeof out, "%.2g", x);
  return out;
}

double noise_of(const std::vector<double>& s) {
  return 100 * 0.5 * (quantile(s, 0.75) - quantile(s, 0.25)) / quantile(s, 0.5);
}

/// How far medians of so many visits are off, percent: two of half as many differ by twice that.
double floor_of(const std::vector<double>& s) {
  std::vector<double> even, odd;
  for (std::size_t i = 0; i < s.size(); ++i) (i % 2 == 0 ? even : odd).push_back(s[i]);
  return odd.empty() ? 0 : 50 * std::abs(quantile(even, 0.5) / quantile(odd, 0.5) - 1);
}

double mean_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return x.empty() ? 0 : sum / static_cast<double>(x.size());
}

/// Scatter of the points of a row of the report.
struct Scatter {
  std::vector<double> noise, floor;
  void add(const std::vector<double>& samples) {
    noise.push_back(noise_of(samples));
    floor.push_back(floor_of(samples));
  }
};

class Fitter {
 public:
  Fitter(const SweepPlan& plan, const Journal& journal, const ModelShape& model, const CalibrationLabels& labels)
      : plan_(plan), journal_(journal), model_(model), labels_(labels), device_(journal.header().at("device")) {
    const Value& probe = journal.header().at("probe");
    light_ = {probe.at("flops_per_s").as_double(), probe.at("bytes_per_s").as_double(),
              probe.at("cache_bytes").as_double(), probe.at("cache_bytes_per_s").as_double()};
    value_bytes_ = device_.at("value_bytes").as_double();
  }

  Calibration run() {
    report_.drift = sentinel_drift(plan_, journal_);
    report_.drift_limit = device_.at("drift_limit_percent").as_double();
    describe_device();
    for (const auto& [point, reason] : journal_.failed()) ++report_.rejected["could not be run: " + reason];
    for (const SweepOp op : {SweepOp::kGemm, SweepOp::kPrefill, SweepOp::kDecode}) fit_one(op);
    if (model_.experts > 0) fit_one(SweepOp::kExperts);
    ragged();
    mixed();
    variants();
    small_kernels();
    memory();
    steps();
    hardware_["calibration"] = to_value(report_);
    return {std::move(hardware_), std::move(report_)};
  }

 private:
  std::vector<double> samples(std::size_t point) const { return journal_.samples(point); }
  double median(std::size_t point) const { return quantile(samples(point), 0.5); }
  /// Of one operator, those that could be run.
  std::vector<std::size_t> points_of(SweepOp op) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < plan_.points.size(); ++i)
      if (plan_.points[i].op == op && journal_.failed().count(i) == 0) out.push_back(i);
    return out;
  }

  void describe_device() {
    const Value& header = journal_.header();
    const std::string backend = header.at("backend").as_string();
    hardware_["name"] = labels_.name;
    hardware_["grade"] = "measured";
    Value& s = hardware_["specs"];
    s["bf16_tflops"] = light_.flops_per_s * 1e-12;
    s["memory_gb"] = device_.at("memory_bytes").as_double() * 1e-9;
    s["memory_gb_per_s"] = light_.bytes_per_s * 1e-9;
    s["cache_mb"] = light_.cache_bytes * 1e-6;
    s["sm_count"] = device_.at("units").as_double();
    s["value_bytes"] = value_bytes_;
    s["source"] = std::string(value_bytes_ == 4 ? "fp32, whatever the key's name: " : "") +
                  header.at("probe").at("source").as_string() + "; " + header.at("machine").at("processor").as_string();
    describe_power(header.find("power"));
    hardware_["fit"]["source"] = "orrery calibrate, backend " + backend + ", samples beside this file" +
                                 (report_.noisy() ? "; NOISY: sentinels moved by " + percent(report_.drift) : "");
    hardware_["fit"]["date"] = labels_.date;
    hardware_["all_reduce"] = Value::array();
    hardware_["machine"] = header.at("machine");
  }

  /// As the device reported it (a step draws what idles and what its work adds); 0 where it did not.
  void describe_power(const Value* measured) {
    Value& p = hardware_["power"];
    for (const auto* key : {"idle_w", "active_w", "joules_per_flop", "joules_per_byte"}) p[key] = 0;
    p["limit_w"] = 1;
    p["source"] = "not reported by this machine; energy is 0";
    p["date"] = labels_.date;
    if (measured == nullptr) return;
    for (const auto* key : {"idle_w", "limit_w", "joules_per_flop", "joules_per_byte", "source"})
      p[key] = measured->at(key);
    p["active_w"] = measured->at("idle_w");
  }

  /// Reason why no kernel can have been so fast; "" if it can.
  std::string impossible(Op op, const Sample& s) const {
    constexpr double kTolerance = 0.95;   // the probe's own scatter
    if (s.seconds < kTolerance * law_flops(op, s.x) / light_.flops_per_s) return "faster than the probed arithmetic";
    if (op == Op::kExperts) return "";      // chance may have taken few of them
    const double bytes = law_bytes(op, s.x) * value_bytes_ / 2;   // the law counts two bytes a value
    const double rate = bytes <= light_.cache_bytes ? light_.cache_bytes_per_s : light_.bytes_per_s;
    return s.seconds < kTolerance * bytes / rate ? "faster than the probed memory" : "";
  }

  void fit_one(SweepOp what) {
    const double units = device_.at("units").as_double();
    const Op op = law_of(what, units);
    const bool by_rows = op == Op::kGemmRows || op == Op::kExperts;
    std::vector<Sample> rows;
    Scatter scatter;
    for (const std::size_t i : points_of(what)) {
      const Sample s{plan_.points[i].x, median(i)};
      if (const std::string reason = impossible(op, s); !reason.empty()) {
        ++report_.rejected[reason];
        continue;
      }
      rows.push_back(s);
      scatter.add(samples(i));
    }
    if (rows.size() < kLeastPoints) {
      throw ConfigError("calibrate: only " + std::to_string(rows.size()) + " points of " + std::string(name(what)) +
                        " count, at least " + std::to_string(kLeastPoints) + " are needed" +
                        (report_.rejected.empty() ? "" : "; " + report_.rejected.begin()->first));
    }
    const FitOptions options{
        .sm_count = by_rows ? device_.at("row_tile").as_double() : units,
        .grid = grid_of(op, rows)};
    std::vector<double> predicted(rows.size());
    for (int fold = 0; fold < kFolds; ++fold) {
      std::vector<Sample> seen;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (static_cast<int>(i) % kFolds != fold) seen.push_back(rows[i]);
      }
      const OperatorModel fit = fit_operator(op, seen, options);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (static_cast<int>(i) % kFolds == fold) predicted[i] = fit.seconds(rows[i].x);
      }
    }
    const HeldOut error = error_of(op, rows, predicted);
    report(std::string(name(what)), op, rows, predicted, scatter);
    OperatorModel model = fit_operator(op, rows, options);
    model.mape = error.mape;
    model.p95 = error.p95;
    model.sigma = std::abs(error.bias) + error.mape / std::sqrt(static_cast<double>(rows.size()));
    hardware_["operators"][name(what)] = to_value(model);
    models_[what] = model;
  }

  static std::vector<ResidualGrid::Axis> grid_of(Op op, const std::vector<Sample>& rows) {
    const std::size_t d = feature_names(op).size();
    MatrixXd x(static_cast<Index>(rows.size()), static_cast<Index>(d));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Features z = features(op, rows[i].x);
      for (std::size_t j = 0; j < d; ++j) x(static_cast<Index>(i), static_cast<Index>(j)) = z[j];
    }
    const bool matrix = op == Op::kGemm || op == Op::kGemmRows || op == Op::kExperts;
    return covering_axes(x, matrix ? std::vector<double>{0.5, 1, 1, 1, 1} : std::vector<double>{0.5, 0.5, 1, 1, 1});
  }

  void report(const std::string& what, Op op, const std::vector<Sample>& rows, const std::vector<double>& predicted,
              const Scatter& scatter) {
    const HeldOut error = error_of(op, rows, predicted);
    FitReport::Row row{what,
                       rows.size(),
                       error.mape,
                       error.p95,
                       quantile(scatter.noise, 0.5),
                       mean_of(scatter.floor),
                       {}};
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t i = 0; i < rows.size(); ++i) order.emplace_back(-std::abs(predicted[i] / rows[i].seconds - 1), i);
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < std::min<std::size_t>(3, order.size()); ++i) {
      const std::size_t at = order[i].second;
      row.worst.push_back(shape_text(op, rows[at].x) + ": " + percent(100 * (predicted[at] / rows[at].seconds - 1)));
    }
    report_.rows.push_back(std::move(row));
  }

  /// Batches of unequal contexts, priced by their mean; no fit has seen them.
  void ragged() {
    std::vector<Sample> rows;
    std::vector<double> predicted;
    Scatter scatter;
    const OperatorModel& decode = models_.at(SweepOp::kDecode);
    for (const std::size_t i : points_of(SweepOp::kRagged)) {
      rows.push_back({plan_.points[i].x, median(i)});
      predicted.push_back(decode.seconds(plan_.points[i].x));
      scatter.add(samples(i));
    }
    report("ragged decode", Op::kDecode, rows, predicted, scatter);
  }

  /// A chunk and decodes in one launch, priced as the two apart, as the cost model does; no fit has seen them.
  void mixed() {
    std::vector<Sample> rows;
    std::vector<double> predicted;
    Scatter scatter;
    for (const std::size_t i : points_of(SweepOp::kMixed)) {
      const SweepPoint& p = plan_.points[i];
      const ChunkShape& c = p.batch.chunks.front();
      const Shape chunk{1,     static_cast<double>(c.q.value()), static_cast<double>(c.context.value()), p.x[2], p.x[3],
                        p.x[4]};
      rows.push_back({p.x, median(i)});
      predicted.push_back(models_.at(SweepOp::kPrefill).seconds(chunk) + models_.at(SweepOp::kDecode).seconds(p.x));
      scatter.add(samples(i));
    }
    report("chunk beside decodes, as two", Op::kDecode, rows, predicted, scatter);
  }

  /// One factor a variant, on the decode attention over what of the context is quantised; errors are those of the
  /// factor alone.
  void variants() {
    for (const DecodeVariant variant : kDecodeVariants) {
      const KvFormat format = format_of(variant);
      std::vector<Sample> rows;
      std::vector<double> base, quantised, ratios;
      Scatter scatter;
      for (const std::size_t i : points_of(SweepOp::kVariant)) {
        const SweepPoint& p = plan_.points[i];
        if (p.x[5] != static_cast<double>(variant)) continue;
        Shape x = p.x;
        x[5] = 0;
        rows.push_back({x, median(i)});
        base.push_back(models_.at(SweepOp::kDecode).seconds(x));
        quantised.push_back(1 - std::min(1.0, format.mean_residual() / x[1]));
        ratios.push_back(1 + (median(i) / base.back() - 1) / std::max(quantised.back(), 1e-3));
        scatter.add(samples(i));
      }
      if (rows.empty()) continue;
      const double factor = quantile(ratios, 0.5);
      for (std::size_t i = 0; i < base.size(); ++i) base[i] *= 1 + (factor - 1) * quantised[i];
      report(std::string(key_of(variant)) + " decode, x " + two_digits(factor), Op::kDecode, rows, base, scatter);
      hardware_["variants"][key_of(variant)] = factor;
    }
  }

  /// Two norms, rope with append and activation of a layer, and what experts add: launches and bytes, least squares on
  /// relative errors. Where one of them could not be run, its number of rows does not count.
  void small_kernels() {
    std::map<double, std::pair<double, std::size_t>> layer;
    Scatter scatter;
    std::vector<SweepOp> ops{SweepOp::kNorm, SweepOp::kRope, SweepOp::kActivation};
    if (model_.experts > 0) ops.push_back(SweepOp::kRoute);
    for (const SweepOp op : ops) {
      for (const std::size_t i : points_of(op)) {
        auto& [seconds, kinds] = layer[plan_.points[i].x[0]];
        seconds += (op == SweepOp::kNorm ? 2 : 1) * median(i);
        ++kinds;
        scatter.add(samples(i));
      }
    }
    std::erase_if(layer, [&](const auto& one) { return one.second.second < ops.size(); });
    if (layer.size() < 2) throw ConfigError("calibrate: the small kernels could not be run");
    // As OperatorCostModel counts.
    const double kernels = 5 + (model_.experts > 0 ? kRoutingKernels : 0);
    const auto values = static_cast<double>(elementwise_values(model_, model_.heads, model_.kv_heads, 1));
    MatrixXd a(static_cast<Index>(layer.size()), 2);
    Index i = 0;
    for (const auto& [rows, one] : layer) {
      a(i, 0) = kernels / one.first;
      a(i++, 1) = rows * values * value_bytes_ / one.first;
    }
    const VectorXd fit = non_negative_least_squares(a, VectorXd::Ones(a.rows()));
    host_.elementwise_s = fit[0];
    host_.elementwise_bytes_per_s = 1 / std::max(fit[1], 1e-15);
    FitReport::Row row{"small kernels (fitted)", layer.size(), 0, 0, quantile(scatter.noise, 0.5),
                       mean_of(scatter.floor), {}};
    std::vector<double> errors;
    for (Index r = 0; r < a.rows(); ++r) errors.push_back(100 * std::abs(a.row(r).dot(fit) - 1));
    for (const double e : errors) row.mape += e / static_cast<double>(errors.size());
    row.p95 = quantile(errors, 0.95);
    report_.rows.push_back(std::move(row));
  }

  void memory() {
    double copied = 0, copy_s = 0, group_s = 0;
    for (const std::size_t i : points_of(SweepOp::kCopy)) {
      const double bytes = plan_.points[i].x[0];
      if (bytes > copied) copied = bytes, copy_s = median(i);
    }
    for (const std::size_t i : points_of(SweepOp::kMap))
      group_s = median(i) / plan_.points[i].x[0]; // the larger last
    if (group_s > 0) hardware_["map_group_s"] = group_s;
    if (copied == 0) return;                 // could not be run: as the data sheet says
    host_bytes_per_s_ = copied / copy_s;
    hardware_["specs"]["pcie_gb_per_s"] = host_bytes_per_s_ * 1e-9;
    hardware_["pcie_efficiency"] = 1;
  }

  std::vector<StepSample> step_samples(SweepUse use, std::string_view family) const {
    std::vector<StepSample> out;
    for (const std::size_t i : points_of(SweepOp::kStep)) {
      const SweepPoint& p = plan_.points[i];
      if (p.use == use && p.family == family) out.push_back({p.batch, samples(i)});
    }
    return out;
  }

  void host_value() {
    Value& v = hardware_["host"];
    v["step_us"] = host_.step_s * 1e6;
    v["per_sequence_us"] = host_.per_sequence_s * 1e6;
    v["elementwise_us"] = host_.elementwise_s * 1e6;
    v["elementwise_gb_per_s"] = host_.elementwise_bytes_per_s * 1e-9;
    v["source"] = "our engine on this machine, orrery calibrate, " + labels_.date;
  }

  void steps() {
    const auto fitted = step_samples(SweepUse::kFit, "");
    if (fitted.size() < kLeastPoints) throw ConfigError("calibrate: whole steps could not be run");
    const std::int64_t tile = device_.at("row_tile").as_int();
    StepLaw law = fit_step_law(fitted, tile);
    const StepError held = held_out_steps(fitted, tile, kFolds);
    law.mape = held.mape;
    law.p95 = held.p95;
    law.sigma = std::abs(held.bias) + held.mape / std::sqrt(static_cast<double>(fitted.size()));
    law.host_bytes_per_s = host_bytes_per_s_;
    report_.terms_mape = held.terms_mape;
    Value entry = to_value(law);
    entry["model"] = model_.name;
    entry["parameters"] = model_.parameters();
    hardware_["steps"].push_back(std::move(entry));
    host_terms(fitted);
    const OperatorCostModel sum(model_, hardware_from_json(hardware_, {}), {}, host_);
    for (const auto* family : {"random", "decode batch", "decode context", "chunk"}) {
      const auto samples_of = step_samples(SweepUse::kTest, family);
      step_row(std::string("step law, ") + family, samples_of, [&](const StepShape& x) { return law.predict(x); });
      step_row(std::string("sum of operators, ") + family, samples_of,
               [&](const StepShape& x) { return to_seconds(sum.price({&x, 1}, 0).first); });
    }
  }

  /// One factor on the operators, a time a step and a time a sequence, from random whole steps.
  void host_terms(const std::vector<StepSample>& fitted) {
    host_value();
    const OperatorCostModel bare(model_, hardware_from_json(hardware_, {}), {}, host_);
    MatrixXd a(static_cast<Index>(fitted.size()), 3);
    for (std::size_t i = 0; i < fitted.size(); ++i) {
      const StepShape x = fitted[i].batch.shape();
      const double t = fitted[i].median();
      a.row(static_cast<Index>(i)) << to_seconds(bare.price({&x, 1}, 0).first) / t, 1 / t, x.sequences / t;
    }
    const VectorXd fit = non_negative_least_squares(a, VectorXd::Ones(a.rows()));
    hardware_["step_correction"] = fit[0];
    host_.step_s = fit[1];
    host_.per_sequence_s = fit[2];
    host_value();
  }

  template <class Predict>
  void step_row(const std::string& what, const std::vector<StepSample>& steps, const Predict& predict) {
    FitReport::Row row{what, steps.size(), 0, 0, 0, 0, {}};
    std::vector<double> errors, noise, floor;
    double largest = 0;
    for (const StepSample& s : steps) {
      const StepShape x = s.batch.shape();
      const double error = 100 * (predict(x) / s.median() - 1);
      errors.push_back(std::abs(error));
      noise.push_back(100 * s.noise());
      floor.push_back(floor_of(s.seconds));
      row.mape += std::abs(error) / static_cast<double>(steps.size());
      if (std::abs(error) <= largest) continue;
      largest = std::abs(error);
      row.worst = {"decodes=" + std::to_string(x.decodes.value()) + " context=" +
                   std::to_string(x.decode_context.value()) + " prefill=" + std::to_string(x.prefill.value()) +
                   " chunks=" + std::to_string(x.chunks.size()) + ": " + percent(error)};
    }
    row.p95 = quantile(errors, 0.95);
    row.noise = quantile(noise, 0.5);
    row.floor = mean_of(floor);
    report_.rows.push_back(std::move(row));
  }

  const SweepPlan& plan_;
  const Journal& journal_;
  const ModelShape& model_;
  CalibrationLabels labels_;
  Value device_;
  SpeedOfLight light_{};
  double value_bytes_ = 2, host_bytes_per_s_ = 0;
  HostTerms host_{};
  std::map<SweepOp, OperatorModel> models_;
  Value hardware_ = Value::object();
  FitReport report_;
};

}  // namespace

Value sweep_header(const SweepPlan& plan, const ModelShape& model, const SweepOptions& options,
                   SweepBackend& backend, const SpeedOfLight& probe) {
  Value v = Value::object();
  v["format"] = "orrery sweep 1";
  v["backend"] = backend.name();
  v["model"] = model.name;
  v["quick"] = options.quick;
  v["seed"] = static_cast<std::int64_t>(options.seed);
  v["plan"] = std::to_string(plan.hash);
  v["device"]["value_bytes"] = backend.value_bytes();
  v["device"]["row_tile"] = backend.row_tile();
  v["device"]["memory_bytes"] = backend.memory_bytes();
  v["device"]["units"] = backend.units();
  v["probe"]["flops_per_s"] = probe.flops_per_s;
  v["probe"]["bytes_per_s"] = probe.bytes_per_s;
  v["probe"]["cache_bytes"] = probe.cache_bytes;
  v["probe"]["cache_bytes_per_s"] = probe.cache_bytes_per_s;
  v["probe"]["source"] = backend.probe_source();
  v["device"]["drift_limit_percent"] = backend.drift_limit();
  v["condition"] = backend.condition();
  if (const auto power = backend.power()) {
    Value& p = v["power"];
    p["idle_w"] = power->idle_w;
    p["limit_w"] = power->limit_w;
    p["joules_per_flop"] = power->joules_per_flop;
    p["joules_per_byte"] = power->joules_per_byte;
    p["source"] = power->source;
  }
  v["machine"] = backend.machine();
  return v;
}

Calibration fit_sweep(const SweepPlan& plan, const Journal& journal, const ModelShape& model,
                      const CalibrationLabels& labels) {
  return Fitter(plan, journal, model, labels).run();
}

std::string text(const FitReport& r) {
  std::string out = "held out                          points   error    p95   noise   floor   worst\n";
  for (const FitReport::Row& row : r.rows) {
    char line[160];
    std::snprintf(line, sizeof line, "%-33s %6zu %6.1f %% %5.1f %% %5.1f %% %5.1f %%", row.what.c_str(), row.points,
                  row.mape, row.p95, row.noise, row.floor);
    out += line;
    for (std::size_t i = 0; i < row.worst.size(); ++i)
      out += (i == 0 ? "  " : std::string(75, ' ')) + row.worst[i] + "\n";
    if (row.worst.empty()) out += "\n";
  }
  out += "the step law's terms without residual: " + percent(r.terms_mape) + "\n";
  for (const auto& [reason, count] : r.rejected) out += "rejected: " + std::to_string(count) + " " + reason + "\n";
  out +=
      "sentinels moved by " + percent(r.drift) + (r.noisy() ? ": NOISY, above " + percent(r.drift_limit) : "") + "\n";
  return out;
}

Value to_value(const FitReport& r) {
  Value v = Value::object();
  v["sentinel_drift_percent"] = r.drift;
  v["noisy"] = r.noisy();
  v["step_terms_percent"] = r.terms_mape;
  v["rejected"] = Value::object();
  for (const auto& [reason, count] : r.rejected) v["rejected"][reason] = count;
  v["held_out"] = Value::array();
  for (const FitReport::Row& row : r.rows) {
    Value one = Value::object();
    one["what"] = row.what;
    one["points"] = static_cast<std::int64_t>(row.points);
    one["mape_percent"] = row.mape;
    one["p95_percent"] = row.p95;
    one["noise_percent"] = row.noise;
    one["floor_percent"] = row.floor;
    one["worst"] = Value::array();
    for (const std::string& w : row.worst) one["worst"].push_back(w);
    v["held_out"].push_back(std::move(one));
  }
  return v;
}

}  // namespace orrery
