#include "traces/arrival.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/math.hpp"
#include "sim/base/rng.hpp"
#include "sim/config/units.hpp"
#include "traces/text_file.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kPhase = std::uint64_t{1} << 63;   // phases of onoff, apart from its gaps

/// from + seconds, or kNever beyond the horizon.
Time later(Time from, double seconds) {
  const bool within = from != kNever && to_seconds(from) + seconds < static_cast<double>(kMaxTraceSeconds);
  return within ? from + from_seconds(seconds) : kNever;
}

double unit_exponential(std::uint64_t seed, std::uint64_t n) {
  return -fast_log(Rng(seed, Purpose::kArrival, n).uniform_positive());
}

class Constant final : public ArrivalProcess {
 public:
  explicit Constant(double rate) : gap_(1 / rate) {}
  Time next() override { return now_ = later(now_, gap_); }

 private:
  double gap_;
  Time now_{};
};

class Poisson final : public ArrivalProcess {
 public:
  Poisson(double rate, std::uint64_t seed) : gap_(1 / rate), seed_(seed) {}
  Time next() override { return now_ = later(now_, gap_ * unit_exponential(seed_, n_++)); }

 private:
  double gap_;
  std::uint64_t seed_, n_ = 0;
  Time now_{};
};

class Gamma final : public ArrivalProcess {
 public:
  Gamma(double rate, double cv, std::uint64_t seed)
      : gap_(1 / rate), shape_(Distribution::gamma(1, cv)), seed_(seed) {}
  Time next() override {
    Rng rng(seed_, Purpose::kArrival, n_++);
    return now_ = later(now_, gap_ * shape_.sample(rng));
  }

 private:
  double gap_;
  Distribution shape_;
  std::uint64_t seed_, n_ = 0;
  Time now_{};
};

class OnOff final : public ArrivalProcess {
 public:
  OnOff(double rate, Distribution on, Distribution off, std::uint64_t seed)
      : on_gap_(on.mean() / (on.mean() + off.mean()) / rate), on_(std::move(on)), off_(std::move(off)), seed_(seed) {
    phase_end_ = later(now_, phase(on_));
  }
  Time next() override {
    Time at = later(now_, on_gap_ * unit_exponential(seed_, n_++));
    while (at > phase_end_) {                                     // what is left of the gap goes on in the next phase
      if (at == kNever || phase_end_ == kNever) return now_ = kNever;
      const Duration left = at - phase_end_;
      const Time begin = later(phase_end_, phase(off_));
      phase_end_ = later(begin, phase(on_));
      at = later(begin, to_seconds(left));
    }
    return now_ = at;
  }

 private:
  double phase(const Distribution& length) {
    Rng rng(seed_, Purpose::kArrival, kPhase | phases_++);
    return std::max(length.sample(rng), 1e-6);
  }

  double on_gap_;
  Distribution on_, off_;
  std::uint64_t seed_, n_ = 0, phases_ = 0;
  Time now_{}, phase_end_{};
};

class Profile final : public ArrivalProcess {
 public:
  /// With a period, the last step ends with it and the first follows.
  Profile(std::vector<RateStep> steps, std::uint64_t seed, double period_s = 0)
      : steps_(std::move(steps)), period_(from_seconds(period_s)), seed_(seed) {}
  Time next() override {
    double need = unit_exponential(seed_, n_++);                  // in expected arrivals (time rescaling)
    for (; now_ != kNever; ++step_) {
      if (period_ > Duration{} && step_ == steps_.size()) step_ = 0, began_ += period_;
      const double rate = steps_[step_].rate;
      const bool last = step_ + 1 == steps_.size();
      if (last && period_ == Duration{}) return now_ = rate > 0 ? later(now_, need / rate) : kNever;
      const Time end = began_ + (last ? period_ : from_seconds(steps_[step_ + 1].start_s));
      const double holds = to_seconds(end - now_) * rate;
      if (need < holds) return now_ = std::min(end, later(now_, need / rate));
      need -= holds;
      now_ = end;
    }
    return kNever;
  }

 private:
  std::vector<RateStep> steps_;
  Duration period_;
  Time began_{};                       ///< of the present period
  std::size_t step_ = 0;
  std::uint64_t seed_, n_ = 0;
  Time now_{};
};

}  // namespace

std::unique_ptr<ArrivalProcess> make_constant(double rate) { return std::make_unique<Constant>(rate); }
std::unique_ptr<ArrivalProcess> make_poisson(double rate, std::uint64_t seed) {
  return std::make_unique<Poisson>(rate, seed);
}
std::unique_ptr<ArrivalProcess> make_gamma(double rate, double cv, std::uint64_t seed) {
  return std::make_unique<Gamma>(rate, cv, seed);
}
std::unique_ptr<ArrivalProcess> make_onoff(double rate, Distribution on, Distribution off, std::uint64_t seed) {
  return std::make_unique<OnOff>(rate, std::move(on), std::move(off), seed);
}
std::unique_ptr<ArrivalProcess> make_profile(std::vector<RateStep> steps, std::uint64_t seed) {
  return std::make_unique<Profile>(std::move(steps), seed);
}

/// The rate of a step is that at its middle; cosines by the recurrence cos(x + d) = 2 cos(d) cos(x) - cos(x - d).
std::unique_ptr<ArrivalProcess> make_sinusoid(double rate, double amplitude, double period_s, std::uint64_t seed) {
  constexpr int kSteps = 96;
  constexpr double kHalfStep = 0.9994645874763657, kTwiceStep = 1.995717846477207;   // cos(pi / 96), 2 cos(2 pi / 96)
  std::vector<RateStep> steps;
  double before = kHalfStep, now = kHalfStep;
  for (int k = 0; k < kSteps; ++k) {
    steps.push_back({period_s * k / kSteps, rate * (1 - amplitude * now)});
    const double after = kTwiceStep * now - before;
    before = now;
    now = after;
  }
  return std::make_unique<Profile>(std::move(steps), seed, period_s);
}

std::vector<RateStep> read_profile(const std::string& path) {
  TextFile file(path);
  if (!file.more()) throw ConfigError(path + ": is empty");
  if (const std::string_view header = file.take_line(); header != "t_s,rate") {
    throw ConfigError(path + ":1: expected the header t_s,rate, got \"" + std::string(header.substr(0, 60)) + "\"");
  }
  std::vector<RateStep> steps;
  RowErrors errors;
  for (std::int64_t line = 2; file.more(); ++line) {
    const std::string text(file.take_line());
    if (text.empty()) continue;
    const auto comma = text.find(',');
    const auto start = parse_number(text.substr(0, comma));
    const auto rate = comma == text.npos ? std::nullopt : parse_number(text.substr(comma + 1));
    const auto bad = [&](const std::string& rule) { errors.add(path, line, rule + ", got \"" + text + "\""); };
    if (!start || !rate) bad("expected two numbers t_s,rate");
    else if (*rate < 0 || *rate > 1e9) bad("rate: expected a number in [0, 1e9]");
    else if (*start < 0 || *start > static_cast<double>(kMaxTraceSeconds)) bad("t_s: expected seconds in [0, 9000000]");
    else if (steps.empty() && *start != 0) bad("t_s: the first row must be at 0");
    else if (!steps.empty() && *start <= steps.back().start_s) bad("t_s: must increase from row to row");
    else steps.push_back({*start, *rate});
  }
  if (!errors.empty()) errors.raise();
  if (steps.empty()) throw ConfigError(path + ": holds no rates");
  return steps;
}

}  // namespace orrery
