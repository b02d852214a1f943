#include "calibrate/step/step_fit.hpp"

#include <algorithm>
#include <cmath>

#include "calibrate/fit/least_squares.hpp"
#include "calibrate/fit/residual_fit.hpp"

namespace orrery {
namespace {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;

double terms_alone(const StepLaw& law, const StepShape& shape) {
  const auto amount = law.amounts(shape);
  double sum = 0;
  for (std::size_t i = 0; i < StepLaw::kTerms; ++i) sum += law.seconds[i] * amount[i];
  return sum;
}

std::array<double, StepLaw::kTerms> fit_terms(std::span<const StepSample> samples, std::int64_t row_tile) {
  StepLaw unit;
  unit.row_tile = row_tile;
  MatrixXd a(static_cast<Index>(samples.size()), static_cast<Index>(StepLaw::kTerms));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto amount = unit.amounts(samples[i].batch.shape());
    const double t = samples[i].median();
    for (std::size_t j = 0; j < StepLaw::kTerms; ++j) a(static_cast<Index>(i), static_cast<Index>(j)) = amount[j] / t;
  }
  const VectorXd x = non_negative_least_squares(a, VectorXd::Ones(a.rows()));
  std::array<double, StepLaw::kTerms> seconds{};
  for (std::size_t j = 0; j < StepLaw::kTerms; ++j) seconds[j] = x[static_cast<Index>(j)];
  return seconds;
}

StepError summary(const std::vector<double>& errors, const std::vector<double>& of_terms) {
  StepError e;
  std::vector<double> sizes;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const auto n = static_cast<double>(errors.size());
    sizes.push_back(std::abs(errors[i]));
    e.bias += errors[i] / n;
    e.mape += std::abs(errors[i]) / n;
    e.terms_mape += std::abs(of_terms[i]) / n;
  }
  e.p95 = quantile(std::move(sizes), 0.95);
  return e;
}

void judge(const StepLaw& law, const StepSample& s, std::vector<double>& errors, std::vector<double>& of_terms) {
  const StepShape shape = s.batch.shape();
  errors.push_back(100 * (law.predict(shape) / s.median() - 1));
  of_terms.push_back(100 * (terms_alone(law, shape) / s.median() - 1));
}

}  // namespace

double StepSample::median() const { return quantile(seconds, 0.5); }

double StepSample::noise() const { return 0.5 * (quantile(seconds, 0.75) - quantile(seconds, 0.25)) / median(); }

StepLaw fit_step_law(std::span<const StepSample> samples, std::int64_t row_tile) {
  StepLaw law;
  law.row_tile = row_tile;
  law.seconds = fit_terms(samples, row_tile);
  MatrixXd x(static_cast<Index>(samples.size()), static_cast<Index>(StepLaw::kFeatures));
  VectorXd y(x.rows());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const StepShape shape = samples[i].batch.shape();
    const Features z = StepLaw::features(shape);
    for (std::size_t d = 0; d < StepLaw::kFeatures; ++d) x(static_cast<Index>(i), static_cast<Index>(d)) = z[d];
    y[static_cast<Index>(i)] = std::log(samples[i].median() / std::max(1e-12, terms_alone(law, shape)));
  }
  for (std::size_t d = 0; d < StepLaw::kFeatures; ++d) {
    law.low[d] = x.col(static_cast<Index>(d)).minCoeff();
    law.high[d] = x.col(static_cast<Index>(d)).maxCoeff();
  }
  law.residual = fit_residual(x, y, covering_axes(x, {0.5, 1.0, 2.0, 1.0}));
  return law;
}

StepError error_of(const StepLaw& law, std::span<const StepSample> samples) {
  std::vector<double> errors, of_terms;
  for (const StepSample& s : samples) judge(law, s, errors, of_terms);
  return summary(errors, of_terms);
}

StepError held_out_steps(std::span<const StepSample> samples, std::int64_t row_tile, int folds) {
  std::vector<double> errors, of_terms;
  for (int fold = 0; fold < folds; ++fold) {
    std::vector<StepSample> seen, unseen;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      (static_cast<int>(i) % folds == fold ? unseen : seen).push_back(samples[i]);
    }
    const StepLaw law = fit_step_law(seen, row_tile);
    for (const StepSample& s : unseen) judge(law, s, errors, of_terms);
  }
  return summary(errors, of_terms);
}

}  // namespace orrery
