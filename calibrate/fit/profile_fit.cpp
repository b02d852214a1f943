#include "calibrate/fit/profile_fit.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "calibrate/fit/levenberg.hpp"

namespace orrery {
namespace {

struct Point {
  std::string shape;
  double size, extra, value;
};

/// Values at the knots, then the coefficient of `extra`.
double between(const std::vector<double>& knots, std::span<const double> theta, double size) {
  const auto above = std::upper_bound(knots.begin() + 1, knots.end() - 1, size);
  const auto i = static_cast<std::size_t>(above - knots.begin());
  const double share = (std::max(size, knots.front()) - knots[i - 1]) / (knots[i] - knots[i - 1]);
  return theta[i - 1] + share * (theta[i] - theta[i - 1]);
}

double predicted(const std::vector<double>& knots, std::span<const double> theta, const Point& p) {
  const double extra = theta.size() > knots.size() ? theta.back() * p.extra : 0;
  return between(knots, theta, p.size) + extra;
}

std::vector<double> fit_knots(const std::vector<double>& knots, bool with_extra, const std::vector<Point>& points) {
  std::vector<double> guess;
  for (const double k : knots) {  // the nearest point, so that a knot without points of its own is not far off
    const auto nearest = std::min_element(points.begin(), points.end(), [&](const Point& a, const Point& b) {
      return std::abs(std::log(a.size / k)) < std::abs(std::log(b.size / k));
    });
    guess.push_back(nearest->value);
  }
  if (with_extra) guess.push_back(guess.front() * 1e-7);
  return fit_positive(std::move(guess), points.size(), [&](std::span<const double> t, std::size_t i) {
    return std::max(predicted(knots, t, points[i]), 1e-3 * points[i].value) / points[i].value;
  });
}

/// One point a shape, the mean of its repeats, so that a shape that was measured often does not count more.
std::vector<Point> means_of(const std::vector<Point>& points) {
  std::map<std::string, std::pair<Point, double>> shapes;
  for (const Point& p : points) {
    auto [at, fresh] = shapes.try_emplace(p.shape, p, 1.0);
    if (fresh) continue;
    at->second.first.value += p.value;
    at->second.second += 1;
  }
  std::vector<Point> means;
  for (auto& [shape, sum] : shapes) {
    sum.first.value /= sum.second;
    means.push_back(sum.first);
  }
  return means;
}

PhaseError errors_of(const std::vector<double>& knots, bool with_extra, const std::vector<Point>& points) {
  const std::vector<Point> shapes = means_of(points);
  const auto all = fit_knots(knots, with_extra, shapes);
  PhaseError e;
  for (const Point& own : shapes) {
    std::vector<Point> others;
    std::copy_if(shapes.begin(), shapes.end(), std::back_inserter(others),
                 [&](const Point& p) { return p.shape != own.shape; });
    const double error = 100 * std::abs(predicted(knots, fit_knots(knots, with_extra, others), own) / own.value - 1);
    e.mape += 100 * std::abs(predicted(knots, all, own) / own.value - 1) / static_cast<double>(shapes.size());
    e.left_out_mape += error / static_cast<double>(shapes.size());
    e.left_out_worst = std::max(e.left_out_worst, error);
    for (const Point& p : points) {
      const double count = static_cast<double>(points.size());
      if (p.shape == own.shape) e.repeat += 100 * std::abs(p.value / own.value - 1) / count;
    }
  }
  return e;
}

std::vector<ProfilePiece> pieces_of(const std::vector<double>& knots, const std::vector<double>& theta) {
  const double extra = theta.size() > knots.size() ? theta.back() : 0;
  std::vector<ProfilePiece> pieces{{0, theta[0], 0, extra}};
  for (std::size_t i = 0; i + 1 < knots.size(); ++i) {
    const double slope = (theta[i + 1] - theta[i]) / (knots[i + 1] - knots[i]);
    pieces.push_back({knots[i], theta[i] - slope * knots[i], slope, extra});
  }
  return pieces;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

/// The highest power is that of the prompt, the average one that of the tokens where these take nearly all the time.
ProfilePower power_of(const std::vector<PublishedStep>& steps, double limit_w) {
  std::vector<Point> peaks;
  std::vector<double> averages;
  for (const PublishedStep& s : steps) {
    if (s.peak_power > 0) peaks.push_back({s.shape(), s.prompt * s.batch, 0, s.peak_power * limit_w});
    if (s.average_power > 0 && s.prompt_s < 0.1 * s.outputs * s.token_s) averages.push_back(s.average_power * limit_w);
  }
  if (peaks.empty() || averages.empty()) return {};
  const std::vector<double> knots{128, 512, 2048, 8192};
  const auto theta = fit_knots(knots, false, means_of(peaks));
  ProfilePower power{{}, median(averages)};
  for (std::size_t i = 0; i < knots.size(); ++i) power.prefill.push_back({knots[i], theta[i]});
  return power;
}

}  // namespace

std::string PublishedStep::shape() const {
  return std::to_string(prompt) + "x" + std::to_string(batch) + "+" + std::to_string(outputs);
}

std::vector<PublishedStep> published_steps(const CsvTable& t, const std::string& model, const std::string& hardware,
                                           int tp, double least_s_per_token) {
  const std::size_t name = t.column("model"), device = t.column("hardware"), split = t.column("tensor_parallel");
  const auto number = [&](std::size_t row, const char* column) { return t.number(row, t.column(column)); };
  std::vector<PublishedStep> steps;
  for (std::size_t row = 0; row < t.rows.size(); ++row) {
    const bool wanted = t.text(row, name) == model && t.text(row, device) == hardware;
    if (!wanted || static_cast<int>(t.number(row, split)) != tp) continue;
    const PublishedStep s{number(row, "prompt_size"),         number(row, "batch_size"),
                          number(row, "token_size"),          1e-3 * number(row, "prompt_time"),
                          1e-3 * number(row, "token_time"),   number(row, "peak_power"),
                          number(row, "average_power")};
    if (s.prompt_s >= s.prompt * s.batch * least_s_per_token) steps.push_back(s);
  }
  return steps;
}

double least_s_per_token(const ModelShape& model, const Hardware& hardware, int tp) {
  return 2 * static_cast<double>(model.layers * model.layer_parameters()) / (hardware.specs.flops_per_s * tp);
}

ProfileError fit_entry(const std::vector<PublishedStep>& steps, double limit_w, ProfileEntry& entry) {
  std::vector<Point> prompts, tokens;
  for (const PublishedStep& s : steps) {
    // The output's length says nothing of the prompt: those rows are repeats.
    prompts.push_back({std::to_string(s.prompt) + "x" + std::to_string(s.batch), s.prompt * s.batch, 0, s.prompt_s});
    tokens.push_back({s.shape(), s.batch, s.batch * (s.prompt + 0.5 * s.outputs), s.token_s});
  }
  const std::vector<double> prompt_knots{256, 2048, 8192}, batch_knots{1, 16, 64};
  entry.prefill = pieces_of(prompt_knots, fit_knots(prompt_knots, false, means_of(prompts)));
  entry.decode = pieces_of(batch_knots, fit_knots(batch_knots, true, means_of(tokens)));
  entry.tokens_low = prompts.front().size;
  for (const Point& p : prompts) {
    entry.tokens_low = std::min(entry.tokens_low, p.size);
    entry.tokens_high = std::max(entry.tokens_high, p.size);
  }
  for (const Point& p : tokens) entry.sequences_high = std::max(entry.sequences_high, p.size);
  entry.power = power_of(steps, limit_w);
  const ProfileError error{errors_of(prompt_knots, false, prompts), errors_of(batch_knots, true, tokens)};
  entry.prefill_error = error.prefill.left_out_mape;
  entry.decode_error = error.decode.left_out_mape;
  return error;
}

}  // namespace orrery
