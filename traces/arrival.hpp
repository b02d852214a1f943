/// Arrival processes: when the next request comes, one after the other, without end unless a profile stops. Gap n is
/// drawn from (seed, Purpose::kArrival, n) alone; times are exact sums of whole picoseconds.
///
///   constant   every 1/rate seconds, the first at 1/rate        poisson   exponential gaps
///   gamma      gamma gaps of mean 1/rate and a coefficient of variation
///   onoff      Poisson while on, nothing while off; `rate` is the mean over both; phases are drawn from `on` and `off`
///   sinusoid   Poisson whose rate follows a day: rate * (1 - amplitude * cos(2 pi t / period)), lowest at 0,
///              in 96 steps a period
///   profile    Poisson whose rate follows a table of (time, rate), each valid until the next row, the last for ever
///
///   auto arrivals = make_poisson(12.0, seed);
///   Time first = arrivals->next();                  // kNever: no more
///
/// O(1) each, 10 to 60 ns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/distribution.hpp"
#include "sim/base/units.hpp"

namespace orrery {

class ArrivalProcess {
 public:
  virtual ~ArrivalProcess() = default;
  /// At or after the one before; kNever when there are no more, then always.
  virtual Time next() = 0;
};

struct RateStep { double start_s, rate; };   ///< `rate` per second from `start_s` on

std::unique_ptr<ArrivalProcess> make_constant(double rate);
std::unique_ptr<ArrivalProcess> make_poisson(double rate, std::uint64_t seed);
std::unique_ptr<ArrivalProcess> make_gamma(double rate, double cv, std::uint64_t seed);
/// Phases in seconds, at least a microsecond each; the first is on.
std::unique_ptr<ArrivalProcess> make_onoff(double rate, Distribution on, Distribution off, std::uint64_t seed);
/// Starts increase and the first is 0.
std::unique_ptr<ArrivalProcess> make_profile(std::vector<RateStep> steps, std::uint64_t seed);

std::unique_ptr<ArrivalProcess> make_sinusoid(double rate, double amplitude, double period_s, std::uint64_t seed);

/// A profile file: header `t_s,rate`, then rows of increasing time. Throws ConfigError with file:line, all at once.
std::vector<RateStep> read_profile(const std::string& path);

}  // namespace orrery
