/// Probability distributions of lengths, gaps and think times, written as short strings. Sampling inverts the
/// cumulative distribution wherever possible: one uniform number a draw, monotone in it, so that two settings fed with
/// the same numbers are compared under common random numbers (gamma alone is drawn by rejection).
///
///   12.5                    constant                    uniform:820..1024      inclusive
///   normal:2600,780         mean, standard deviation    lognormal:1155,1.1     mean of the variable, sigma of its log
///   exponential:200         mean                        geometric:4            mean, on 1, 2, 3, ...
///   gamma:0.5,2             mean, coefficient of variation
///   zipf:1.1,1..1000        P(k) proportional to k^-1.1 on the whole numbers a..b, at most a million of them
///   powerlaw:256,8..6144    density proportional to x^-a on [8, 6144], with the a that makes the mean 256
///   empirical:file.csv      one value a line (a header line is allowed); drawn with equal weight
///
///   Distribution d = Distribution::parse("lognormal:1155,1.1");     // throws DistributionError
///   std::int64_t tokens = d.count(rng);                             // >= 1
///
/// Values are plain numbers in the caller's unit; a `NumberParser` lets "lognormal:20s,1.2" mean 20 seconds.
/// Complexity: O(1) a draw; zipf and empirical keep one number a value; zipf searches them, O(log n). About 3 to 60 ns
/// a draw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {

/// What is wrong with the text, without its place: the caller adds the JSON pointer.
struct DistributionError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Distribution {
 public:
  enum class Kind { kConstant, kUniform, kNormal, kLognormal, kExponential, kGeometric, kGamma, kZipf, kPowerLaw,
                    kEmpirical };

  /// How numbers with a unit and file names are understood; both may throw DistributionError or their own errors.
  struct Context {
    std::function<double(std::string_view)> number;           ///< default: a plain decimal number
    std::function<std::string(std::string_view)> find_file;   ///< name to path; default: as it is
  };

  Distribution() = default;                                   ///< the constant 0
  static Distribution constant(double value);
  static Distribution gamma(double mean, double cv);
  static Distribution parse(std::string_view text, const Context& context);
  static Distribution parse(std::string_view text) { return parse(text, Context{}); }

  /// One draw; may be negative only for a normal, uniform or empirical that has negative values.
  double sample(Rng& rng) const;
  /// The value below which a share u in [0, 1) of the draws falls. Not for gamma, which has no closed inverse.
  double quantile(double u) const;
  /// One draw as a whole number >= 1: nearest, or for `uniform` equally likely over a..b.
  std::int64_t count(Rng& rng) const;

  Kind kind() const { return kind_; }
  /// Of sample(), exact (of an untruncated normal).
  double mean() const;
  /// Smallest and largest possible value of sample(); infinite where unbounded.
  double min() const;
  double max() const;
  const std::string& text() const { return text_; }           ///< as it was written

 private:
  double gamma_sample(Rng& rng) const;

  Kind kind_ = Kind::kConstant;
  double a_ = 0, b_ = 0;                                       ///< the parameters, in the order of the text
  double p_ = 0, q_ = 0;  ///< derived once: mu, 1/log(1-p), shape, scale; 1 - a, high
  std::shared_ptr<const std::vector<double>> table_;           ///< zipf: cumulative weights; empirical: sorted values
  std::string text_;
};

/// Inverse of the standard normal distribution function, relative error about 1e-15 for u in (0, 1).
/// Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37(3), 1988.
double normal_quantile(double u);

}  // namespace orrery
