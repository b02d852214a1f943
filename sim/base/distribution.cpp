#include "sim/base/distribution.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <utility>

#include "sim/base/math.hpp"

namespace orrery {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMaxZipf = 1'000'000;
constexpr double kMostPower = 20;

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

[[noreturn]] void fail(const std::string& what) { throw DistributionError(what); }

double plain_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    fail("expected a number, got " + quoted(text));
  }
  return value;
}

std::vector<double> read_values(const std::string& path) {
  std::ifstream in(path);
  if (!in) fail(path + ": cannot be read");
  std::vector<double> values;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) continue;
    double value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc{} && end == line.data() + line.size() && std::isfinite(value)) {
      values.push_back(value);
    } else if (number > 1) {
      fail(path + ":" + std::to_string(number) + ": expected a number, got " + quoted(line));
    }
  }
  if (values.empty()) fail(path + ": holds no values");
  std::sort(values.begin(), values.end());
  return values;
}

/// The text after the colon, cut at commas.
struct Arguments {
  std::string_view name, rest;
  const Distribution::Context& context;

  double number(std::string_view text) const { return context.number ? context.number(text) : plain_number(text); }
  [[noreturn]] void wrong(const std::string& form) const {
    fail("expected " + form + ", got " + quoted(std::string(name) + ":" + std::string(rest)));
  }
  double one(const char* form) const {
    if (rest.empty() || rest.find(',') != rest.npos) wrong(form);
    return number(rest);
  }
  std::pair<std::string_view, std::string_view> split(std::string_view separator, const char* form) const {
    const auto at = rest.find(separator);
    if (at == rest.npos || at == 0 || at + separator.size() == rest.size()) wrong(form);
    return {rest.substr(0, at), rest.substr(at + separator.size())};
  }
};

void require(bool good, const std::string& rule, double got) {
  if (good) return;
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, got);
  fail(rule + ", got " + std::string(buffer, error == std::errc{} ? end : buffer));
}

std::vector<double> zipf_table(double exponent, std::int64_t first, std::int64_t last) {
  std::vector<double> cumulative;
  cumulative.reserve(static_cast<std::size_t>(last - first + 1));
  double sum = 0;
  for (std::int64_t k = first; k <= last; ++k) cumulative.push_back(sum += fast_pow(static_cast<double>(k), -exponent));
  for (double& c : cumulative) c /= sum;
  return cumulative;
}

/// Integral of x^(e - 1) over [low, high].
double power_integral(double low, double high, double e) {
  const double span = fast_log(high / low);
  if (std::abs(e * span) < 1e-9) return span * fast_pow(low, e);
  return (fast_pow(high, e) - fast_pow(low, e)) / e;
}

double power_mean(double low, double high, double e) {
  return power_integral(low, high, e + 1) / power_integral(low, high, e);
}

/// The e = 1 - a whose mean is the given one: the mean grows with e. 60 halvings leave 1e-15.
double power_exponent(double mean, double low, double high) {
  double least = -kMostPower, most = kMostPower;
  for (int i = 0; i < 60; ++i) {
    const double middle = (least + most) / 2;
    (power_mean(low, high, middle) < mean ? least : most) = middle;
  }
  return (least + most) / 2;
}

double horner(double x, const double (&c)[8]) {
  double y = c[7];
  for (int k = 6; k >= 0; --k) y = y * x + c[k];
  return y;
}

}  // namespace

double normal_quantile(double u) {
  static constexpr double kA[8] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                   1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                   3.3430575583588128105e4, 2.5090809287301226727e3};
  static constexpr double kB[8] = {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
                                   2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
                                   5.2264952788528545610e3};
  static constexpr double kC[8] = {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
                                   3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
                                   2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static constexpr double kD[8] = {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                                   1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                                   1.05075007164441684324e-9};
  static constexpr double kE[8] = {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
                                   2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                   2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static constexpr double kF[8] = {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
                                   1.48753612908506148525e-2, 7.86869131145613259100e-4, 1.84631831751005468180e-5,
                                   1.42151175831644588870e-7, 2.04426310338993978564e-15};
  const double q = u - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * horner(r, kA) / horner(r, kB);
  }
  const double tail = q < 0 ? u : 1 - u;
  if (!(tail > 0)) return q < 0 ? -kInfinity : kInfinity;
  double r = std::sqrt(-fast_log(tail));
  double x = 0;
  if (r <= 5) {
    r -= 1.6;
    x = horner(r, kC) / horner(r, kD);
  } else {
    r -= 5;
    x = horner(r, kE) / horner(r, kF);
  }
  return q < 0 ? -x : x;
}

Distribution Distribution::constant(double value) {
  Distribution d;
  d.a_ = value;
  return d;
}

Distribution Distribution::gamma(double mean, double cv) {
  require(mean > 0, "gamma: the mean must be positive", mean);
  require(cv > 0 && cv <= 100, "gamma: the coefficient of variation must be in (0, 100]", cv);
  Distribution d;
  d.kind_ = Kind::kGamma;
  d.a_ = mean;
  d.b_ = cv;
  d.p_ = 1 / (cv * cv);
  d.q_ = mean * cv * cv;
  return d;
}

Distribution Distribution::parse(std::string_view text, const Context& context) {
  Distribution d;
  d.text_ = std::string(text);
  const auto colon = text.find(':');
  const Arguments in{text.substr(0, colon), colon == text.npos ? std::string_view{} : text.substr(colon + 1), context};
  if (colon == text.npos) {
    if (!text.empty() && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'))) {
      fail("expected a number or NAME:PARAMETERS, got " + quoted(text));
    }
    d.a_ = in.number(text);
    return d;
  }
  if (in.name == "uniform") {
    const auto [a, b] = in.split("..", "uniform:LOW..HIGH");
    d.kind_ = Kind::kUniform;
    d.a_ = in.number(a);
    d.b_ = in.number(b);
    if (d.a_ > d.b_) in.wrong("uniform:LOW..HIGH with LOW <= HIGH");
  } else if (in.name == "normal") {
    const auto [mean, deviation] = in.split(",", "normal:MEAN,DEVIATION");
    d.kind_ = Kind::kNormal;
    d.a_ = in.number(mean);
    d.b_ = in.number(deviation);
    require(d.b_ >= 0, "normal: the deviation must not be negative", d.b_);
  } else if (in.name == "lognormal") {
    const auto [mean, sigma] = in.split(",", "lognormal:MEAN,SIGMA");
    d.kind_ = Kind::kLognormal;
    d.a_ = in.number(mean);
    d.b_ = plain_number(sigma);
    require(d.a_ > 0, "lognormal: the mean must be positive", d.a_);
    require(d.b_ >= 0 && d.b_ <= 10, "lognormal: sigma must be in [0, 10]", d.b_);
    d.p_ = fast_log(d.a_) - d.b_ * d.b_ / 2;
  } else if (in.name == "exponential") {
    d.kind_ = Kind::kExponential;
    d.a_ = in.one("exponential:MEAN");
    require(d.a_ >= 0, "exponential: the mean must not be negative", d.a_);
  } else if (in.name == "geometric") {
    d.kind_ = Kind::kGeometric;
    d.a_ = in.one("geometric:MEAN");
    require(d.a_ >= 1, "geometric: the mean must be at least 1", d.a_);
    d.p_ = d.a_ > 1 ? 1 / fast_log(1 - 1 / d.a_) : 0;
  } else if (in.name == "gamma") {
    const auto [mean, cv] = in.split(",", "gamma:MEAN,CV");
    d = gamma(in.number(mean), plain_number(cv));
    d.text_ = std::string(text);
  } else if (in.name == "zipf") {
    const auto [exponent, range] = in.split(",", "zipf:EXPONENT,FIRST..LAST");
    const auto [first, last] = Arguments{in.name, range, context}.split("..", "zipf:EXPONENT,FIRST..LAST");
    d.kind_ = Kind::kZipf;
    d.a_ = plain_number(exponent);
    d.b_ = std::floor(in.number(first));
    const double end = std::floor(in.number(last));
    require(d.a_ >= 0 && d.a_ <= 10, "zipf: the exponent must be in [0, 10]", d.a_);
    require(d.b_ >= 1, "zipf: the first value must be at least 1", d.b_);
    require(end >= d.b_ && end < d.b_ + kMaxZipf, "zipf: the range must hold between 1 and 1000000 values",
            end - d.b_ + 1);
    d.table_ = std::make_shared<const std::vector<double>>(
        zipf_table(d.a_, static_cast<std::int64_t>(d.b_), static_cast<std::int64_t>(end)));
  } else if (in.name == "powerlaw") {
    const auto [mean, range] = in.split(",", "powerlaw:MEAN,LOW..HIGH");
    const auto [low, high] = Arguments{in.name, range, context}.split("..", "powerlaw:MEAN,LOW..HIGH");
    d.kind_ = Kind::kPowerLaw;
    d.a_ = in.number(mean);
    d.b_ = in.number(low);
    d.q_ = in.number(high);
    require(d.b_ > 0, "powerlaw: the lowest value must be positive", d.b_);
    require(d.q_ > d.b_ && d.q_ / d.b_ <= 1e9,
            "powerlaw: the highest value must be above the lowest, at most 1e9 times", d.q_);
    require(d.a_ > power_mean(d.b_, d.q_, -kMostPower) && d.a_ < power_mean(d.b_, d.q_, kMostPower),
            "powerlaw: no exponent up to 20 gives this mean", d.a_);
    d.p_ = power_exponent(d.a_, d.b_, d.q_);
  } else if (in.name == "empirical") {
    if (in.rest.empty()) in.wrong("empirical:FILE");
    d.kind_ = Kind::kEmpirical;
    d.table_ = std::make_shared<const std::vector<double>>(
        read_values(context.find_file ? context.find_file(in.rest) : std::string(in.rest)));
    d.a_ = std::accumulate(d.table_->begin(), d.table_->end(), 0.0) / static_cast<double>(d.table_->size());
  } else {
    fail("unknown distribution " + quoted(in.name) +
         " (known: a number, uniform, normal, lognormal, exponential, geometric, gamma, zipf, powerlaw, empirical)");
  }
  return d;
}

double Distribution::quantile(double u) const {
  switch (kind_) {
    case Kind::kConstant: return a_;
    case Kind::kUniform: return a_ + u * (b_ - a_);
    case Kind::kNormal: return b_ == 0 ? a_ : a_ + b_ * normal_quantile(u);
    case Kind::kLognormal: return b_ == 0 ? a_ : fast_exp(p_ + b_ * normal_quantile(u));
    case Kind::kExponential: return -a_ * fast_log(1 - u);
    case Kind::kGeometric: return a_ == 1 ? 1 : std::max(1.0, std::ceil(fast_log(1 - u) * p_));
    case Kind::kZipf: {
      const auto at = std::upper_bound(table_->begin(), table_->end() - 1, u);
      return b_ + static_cast<double>(at - table_->begin());
    }
    case Kind::kPowerLaw: {
      const double span = fast_log(q_ / b_);
      if (std::abs(p_ * span) < 1e-9) return b_ * fast_exp(u * span);
      return b_ * fast_pow(1 + u * (fast_pow(q_ / b_, p_) - 1), 1 / p_);
    }
    case Kind::kEmpirical: return (*table_)[static_cast<std::size_t>(u * static_cast<double>(table_->size()))];
    case Kind::kGamma: break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double Distribution::sample(Rng& rng) const {
  if (kind_ == Kind::kConstant) return a_;
  if (kind_ == Kind::kGamma) return gamma_sample(rng);
  return quantile(std::max(rng.uniform(), 0x1p-54));  // never 0, where a normal would be infinite
}

std::int64_t Distribution::count(Rng& rng) const {
  constexpr double kMost = 9.0e18;
  double x = 0;
  if (kind_ == Kind::kUniform) {
    const double low = std::ceil(a_), high = std::floor(b_);
    x = std::min(high, std::floor(low + rng.uniform() * (high - low + 1)));
  } else {
    x = std::floor(sample(rng) + 0.5);
  }
  return x >= 1 ? static_cast<std::int64_t>(std::min(x, kMost)) : 1;
}

/// Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3), 2000; shapes below 1 by
/// their remark in section 6: Gamma(k) = Gamma(k + 1) * U^(1/k).
double Distribution::gamma_sample(Rng& rng) const {
  const double boost = p_ < 1 ? fast_pow(rng.uniform_positive(), 1 / p_) : 1;
  const double d = (p_ < 1 ? p_ + 1 : p_) - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal_quantile(std::max(rng.uniform(), 0x1p-54));
    const double t = 1 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t;
    const double u = rng.uniform_positive();
    const double x2 = x * x;
    if (u < 1 - 0.0331 * x2 * x2 || fast_log(u) < 0.5 * x2 + d * (1 - v + fast_log(v))) return q_ * boost * d * v;
  }
}

double Distribution::mean() const {
  switch (kind_) {
    case Kind::kUniform: return (a_ + b_) / 2;
    case Kind::kZipf: {
      double mean = 0, below = 0;
      for (std::size_t k = 0; k < table_->size(); ++k) {
        mean += (b_ + static_cast<double>(k)) * ((*table_)[k] - below);
        below = (*table_)[k];
      }
      return mean;
    }
    default: return a_;
  }
}

double Distribution::min() const {
  switch (kind_) {
    case Kind::kConstant: case Kind::kUniform: return a_;
    case Kind::kNormal: return b_ == 0 ? a_ : -kInfinity;
    case Kind::kLognormal: return b_ == 0 ? a_ : 0;
    case Kind::kExponential: case Kind::kGamma: return 0;
    case Kind::kGeometric: return 1;
    case Kind::kZipf: case Kind::kPowerLaw: return b_;
    case Kind::kEmpirical: return table_->front();
  }
  return 0;
}

double Distribution::max() const {
  switch (kind_) {
    case Kind::kConstant: return a_;
    case Kind::kUniform: return b_;
    case Kind::kNormal: case Kind::kLognormal: return b_ == 0 ? a_ : kInfinity;
    case Kind::kExponential: return a_ == 0 ? 0 : kInfinity;
    case Kind::kGeometric: return a_ == 1 ? 1 : kInfinity;
    case Kind::kGamma: return kInfinity;
    case Kind::kZipf: return b_ + static_cast<double>(table_->size()) - 1;
    case Kind::kPowerLaw: return q_;
    case Kind::kEmpirical: return table_->back();
  }
  return 0;
}

}  // namespace orrery
