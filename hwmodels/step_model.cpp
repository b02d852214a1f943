#include "hwmodels/step_model.hpp"

#include <algorithm>
#include <utility>

#include "hwmodels/knots.hpp"
#include "sim/base/math.hpp"

namespace orrery {
namespace {

constexpr double kSlack = 1e-6;  // octaves; a shape at the edge is inside
constexpr std::array<std::string_view, StepLaw::kFeatures> kFeatureNames{"tokens", "1+decode_context",
                                                                         "1+prefill_pairs", "sequences"};

std::int64_t tokens_of(const StepShape& x) { return x.decodes.value() + x.prefill.value() + x.draft.value(); }

double real(std::int64_t n) { return static_cast<double>(n); }

std::int64_t slope_of(std::int64_t rise, std::int64_t run) {
  return rise >= 0 ? (rise + run / 2) / run : -((-rise + run / 2) / run);
}

double number(const Value& v, std::string_view key) {
  const double x = v.at(key).as_double();
  if (!(x >= 0)) throw ConfigError(v.at(key).where() + ": expected a number that is not negative");
  return x;
}

}  // namespace

std::array<double, StepLaw::kTerms> StepLaw::amounts(const StepShape& x) const {
  const std::int64_t n = tokens_of(x);
  return {1, real(n), real(n % row_tile), real(x.decode_context.value()), real(x.prefill_pairs), real(x.sequences)};
}

Features StepLaw::features(const StepShape& x) {
  return {fast_log2(real(std::max<std::int64_t>(1, tokens_of(x)))), fast_log2(1 + real(x.decode_context.value())),
          fast_log2(1 + real(x.prefill_pairs)), fast_log2(real(std::max(1, x.sequences)))};
}

double StepLaw::predict(const StepShape& x) const {
  if (tokens_of(x) == 0) return 0;
  const auto amount = amounts(x);
  double sum = 0;
  for (std::size_t i = 0; i < kTerms; ++i) sum += seconds[i] * amount[i];
  return sum * fast_exp(residual.at(features(x)));
}

bool StepLaw::in_range(const StepShape& x) const {
  const Features z = features(x);
  for (std::size_t d = 0; d < kFeatures; ++d) {
    if (z[d] > high[d] + kSlack || z[d] < low[d] - kSlack) return false;
  }
  return true;
}

std::int64_t StepCostModel::picoseconds(const StepShape& x) const {
  return static_cast<std::int64_t>(law_.predict(x) * 1e12 + 0.5);
}

/// Decodes alone are affine between the knots below and above their total context.
StepRun StepCostModel::price_one(const StepShape& x) const {
  StepRun run;
  run.grade = Grade::kMeasured;
  run.in_range = law_.in_range(x);
  const std::int64_t n = x.decodes.value(), context = x.decode_context.value();
  if (n > 0 && tokens_of(x) == n && x.host_in.value() == 0 && x.host_out.value() == 0) {
    const std::size_t i = Knots<3>::index(context);
    StepShape low = x, high = x;
    low.decode_context = Tokens{Knots<3>::value(i)};
    high.decode_context = Tokens{Knots<3>::value(i + 1)};
    const std::int64_t width = high.decode_context.value() - low.decode_context.value(), base = picoseconds(low);
    const std::int64_t slope = slope_of(picoseconds(high) - base, width);
    run.first = Duration{base + slope * (context - low.decode_context.value())};
    run.step = Duration{slope * n};
    run.valid = (high.decode_context.value() - 1 - context) / n + 1;
    return run;
  }
  const double moved = real(x.host_in.value() + x.host_out.value());  // copies and computation share one processor
  const double swap = law_.host_bytes_per_s > 0 ? moved / law_.host_bytes_per_s : 0;
  run.first = Duration{picoseconds(x) + static_cast<std::int64_t>(swap * 1e12 + 0.5)};
  return run;
}

StepRun StepCostModel::price(std::span<const StepShape> members, int) const {
  StepRun longest = price_one(members.front());
  for (const StepShape& member : members.subspan(1)) {
    const StepRun run = price_one(member);
    if (run.first > longest.first) longest = run;
  }
  if (members.size() > 1) longest.valid = 1;
  return longest;
}

Value to_value(const StepLaw& law) {
  Value v = Value::object();
  for (std::size_t i = 0; i < StepLaw::kTerms; ++i) v["terms"][StepLaw::kNames[i]] = law.seconds[i];
  v["row_tile"] = law.row_tile;
  v["host_bytes_per_s"] = law.host_bytes_per_s;
  for (std::size_t d = 0; d < StepLaw::kFeatures; ++d) {
    Value range = Value::array();
    range.push_back(law.low[d]);
    range.push_back(law.high[d]);
    v["range_log2"][kFeatureNames[d]] = std::move(range);
  }
  v["held_out_percent"]["mape"] = law.mape;
  v["held_out_percent"]["p95"] = law.p95;
  v["held_out_percent"]["sigma"] = law.sigma;
  v["residual"] = to_value(law.residual);
  return v;
}

StepLaw step_law_from_json(const Value& v) {
  StepLaw law;
  for (std::size_t i = 0; i < StepLaw::kTerms; ++i) law.seconds[i] = number(v.at("terms"), StepLaw::kNames[i]);
  law.row_tile = v.at("row_tile").as_int();
  if (law.row_tile < 1) throw ConfigError(v.at("row_tile").where() + ": expected a positive integer");
  law.host_bytes_per_s = number(v, "host_bytes_per_s");
  for (std::size_t d = 0; d < StepLaw::kFeatures; ++d) {
    const Value& range = v.at("range_log2").at(kFeatureNames[d]);
    if (range.items().size() != 2) throw ConfigError(range.where() + ": expected [low, high]");
    law.low[d] = range.items()[0].as_double();
    law.high[d] = range.items()[1].as_double();
  }
  const Value& error = v.at("held_out_percent");
  law.mape = number(error, "mape");
  law.p95 = number(error, "p95");
  law.sigma = number(error, "sigma");
  law.residual = residual_from_json(v.at("residual"));
  return law;
}

}  // namespace orrery
