/// Queueing theory: the engine, fed with Poisson arrivals, has the mean times that closed formulas say, within three
/// standard errors over 20 seeds, and the standard error itself is small. Formulas of TTFT: DistServe (OSDI'24),
/// section 3.1; the rest: Kleinrock, Queueing Systems, volumes 1 and 2.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "sim/base/math.hpp"
#include "sim/base/rng.hpp"
#include "tests/twin/engine_run.hpp"

namespace orrery {
namespace {

constexpr int kSeeds = 20;

/// Poisson arrivals; `shape` sets the lengths (and class) of request n from its own random numbers.
class Poisson final : public RequestSource {
 public:
  using Shape = std::function<void(Request&, Rng&)>;
  Poisson(std::uint64_t seed, double per_second, std::uint64_t requests, Shape shape)
      : seed_(seed), mean_gap_(1 / per_second), requests_(requests), shape_(std::move(shape)) { advance(); }
  Time peek() const override { return next_.number < requests_ ? next_.arrival : kNever; }
  void pop(Request& out) override {
    out = next_;
    ++next_.number;
    advance();
  }

 private:
  void advance() {
    Rng gap(seed_, Purpose::kArrival, next_.number), length(seed_, Purpose::kLength, next_.number);
    next_.arrival += from_seconds(-mean_gap_ * fast_log(gap.uniform_positive()));
    next_.prompt_tokens = next_.output_tokens = Tokens32{1};
    shape_(next_, length);
    next_.max_tokens = next_.output_tokens;
  }
  std::uint64_t seed_;
  double mean_gap_;
  std::uint64_t requests_;
  Shape shape_;
  Request next_;
};

/// Exponential, rounded up to whole tokens.
Tokens32 exponential_tokens(Rng& rng, double mean) {
  return Tokens32{static_cast<std::int32_t>(1 - mean * fast_log(rng.uniform_positive()))};
}

using Measure = std::function<double(const Summary&)>;
double mean_ttft(const Summary& s) { return s.latencies.ttft.mean; }
double mean_e2e(const Summary& s) { return s.latencies.e2e.mean; }

struct Estimate { double mean, error; };   ///< seconds; standard error of the mean over the seeds

Estimate over_seeds(const std::string& engine, double per_second, std::uint64_t requests, const Poisson::Shape& shape,
                    const Measure& measure) {
  const Scenario scenario = parse_scenarios("engine " + engine, "analytic").at(0);
  std::vector<double> values;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Poisson source(seed, per_second, requests, shape);
    values.push_back(measure(run_engine(scenario, source, {}, nullptr, nullptr).summary));
  }
  double sum = 0, squares = 0;
  for (double v : values) sum += v;
  const double mean = sum / kSeeds;
  for (double v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / (kSeeds - 1) / kSeeds)};
}

/// `slack`: what the discretisation into tokens and iterations may add, in seconds.
void expect_theory(const Estimate& seen, double theory, double slack = 0) {
  EXPECT_NEAR(seen.mean, theory, 3 * seen.error + slack);
  EXPECT_LT(seen.error, 0.015 * theory) << "too few requests to tell";
  EXPECT_LT(slack, seen.error) << "the discretisation would hide a mistake";
}

const std::string kOneByOne = "batching=orca max_running=1 kv=paged kv_blocks=1000000 block=1000 ";

/// One prompt at a time, all equal: TTFT = D + R D^2 / (2 (1 - R D)).
TEST(Queueing, MD1) {
  for (const double load : {0.3, 0.6, 0.8}) {
    const double d = 0.1, r = load / d;
    expect_theory(over_seeds(kOneByOne + "cost: 100ms", r, 20000, [](Request&, Rng&) {}, mean_ttft),
                  d + r * d * d / (2 * (1 - r * d)));
  }
}

/// Prompts whose time is exponential: E2E = 1 / (mu - lambda).
TEST(Queueing, MM1) {
  const double service = 0.1, rate = 7;
  auto shape = [](Request& r, Rng& rng) { r.prompt_tokens = exponential_tokens(rng, 100000); };
  expect_theory(over_seeds(kOneByOne + "cost: 1us*prefill", rate, 20000, shape, mean_e2e), 1 / (1 / service - rate),
                1e-5);
}

/// Two classes, the urgent ones first but without interrupting: W_1 = W_0 / (1 - rho_1), W_2 = W_1 / (1 - rho), with
/// W_0 = lambda E[S^2] / 2 (Cobham).
TEST(Queueing, MM1WithPriorities) {
  const double service = 0.1, rate = 7, share = 0.4, rest = rate * 2 * service * service / 2;
  const double first = rest / (1 - share * rate * service), second = first / (1 - rate * service);
  auto shape = [share](Request& r, Rng& rng) {
    r.prompt_tokens = exponential_tokens(rng, 100000);
    r.priority = rng.uniform() < share ? 0 : 1;
  };
  const std::string engine = kOneByOne + "order=priority order.aging=0s cost: 1us*prefill";
  expect_theory(over_seeds(engine, rate, 20000, shape, mean_ttft), share * first + (1 - share) * second + service,
                1e-5);
}

/// k places in a batch whose iterations take the same time whatever is in it: each call is served on its own for a time
/// that is nearly exponential, so E2E = C(k, a) / (k mu - lambda) + 1 / mu (Erlang C).
TEST(Queueing, MMk) {
  const int k = 4;
  const double step = 1e-3, tokens = 4000, service = step * tokens, rate = 0.75 * k / service, a = rate * service;
  double term = 1, sum = 0;
  for (int n = 0; n < k; ++n) {
    sum += term;
    term *= a / (n + 1);
  }
  const double last = term / (1 - a / k), erlang_c = last / (sum + last);
  auto shape = [tokens](Request& r, Rng& rng) { r.output_tokens = exponential_tokens(rng, tokens); };
  const std::string engine = "batching=orca max_running=4 kv=paged kv_blocks=1000000 block=1000 cost: 1ms";
  expect_theory(over_seeds(engine, rate, 20000, shape, mean_e2e), erlang_c / (k / service - rate) + service, 2 * step);
}

/// A decode batch whose iterations take time in proportion to it is processor sharing: E2E = E[S] / (1 - rho), whatever
/// the distribution of lengths.
TEST(Queueing, MG1ProcessorSharing) {
  const double tokens = 1000, service = tokens * 1e-3, rate = 0.6 / service;
  const std::string engine = "batching=orca max_running=1000 kv=paged kv_blocks=1000000 block=1000 cost: 1ms*sequence";
  auto constant = [](Request& r, Rng&) { r.output_tokens = Tokens32{1000}; };
  auto two_points = [](Request& r, Rng& rng) { r.output_tokens = Tokens32{rng.uniform() < 0.9 ? 200 : 8200}; };
  expect_theory(over_seeds(engine, rate, 20000, constant, mean_e2e), service / (1 - rate * service), 5e-3);
  expect_theory(over_seeds(engine, rate, 40000, two_points, mean_e2e), service / (1 - rate * service), 5e-3);
}

/// All that wait are served together in a constant time D. Each service finds Poisson(a) newcomers, a = R D, who waited
/// D / 2 on average; if there are none, the next one does not wait: E2E = D + (D / 2) a / (a + exp(-a)).
TEST(Queueing, BatchService) {
  for (const double load : {0.5, 3.0}) {
    const double d = 0.1;
    const std::string engine = "batching=orca max_running=60000 kv=paged kv_blocks=1000000 block=1000 cost: 100ms";
    expect_theory(over_seeds(engine, load / d, 20000, [](Request&, Rng&) {}, mean_e2e),
                  d + d / 2 * load / (load + std::exp(-load)));
  }
}

/// Two pipeline stages of D / 2 each: TTFT = D + R D^2 / (4 (2 - R D)).
TEST(Queueing, MD1OverTwoPipelineStages) {
  const double d = 0.1, r = 1.5 / d;
  expect_theory(over_seeds(kOneByOne + "stages=2 cost: 50ms", r, 20000, [](Request&, Rng&) {}, mean_ttft),
                d + r * d * d / (4 * (2 - r * d)));
}

/// Two devices that share each prompt with speed-up K: TTFT = D / K + R D^2 / (2 K (K - R D)).
TEST(Queueing, MD1OverTwoTensorParallelDevices) {
  const double d = 0.1, k = 1.6, r = 1.2 / d;
  expect_theory(over_seeds(kOneByOne + "cost: 62500us", r, 20000, [](Request&, Rng&) {}, mean_ttft),
                d / k + r * d * d / (2 * k * (k - r * d)));
}

/// Random routing splits a Poisson stream: two stations are two queues with half the rate.
TEST(Queueing, MD1Twice) {
  const double d = 0.1, r = 0.7 / d;
  const std::string engine = kOneByOne + "stations=2 router=random cost: 100ms";
  expect_theory(over_seeds(engine, 2 * r, 20000, [](Request&, Rng&) {}, mean_ttft),
                d + r * d * d / (2 * (1 - r * d)));
}

/// Power of two choices, many stations, half loaded: far shorter queues than random routing, as in Mitzenmacher (TPDS
/// 2001); the mean with exponential service for large n is sum over i >= 1 of lambda^((2^i - 2) / 1) service times.
TEST(Queueing, PowerOfTwoChoices) {
  const double service = 0.1, load = 0.7;
  double theory = 0;
  for (int i = 1; i < 8; ++i) theory += std::pow(load, std::pow(2, i) - 2);
  auto shape = [](Request& r, Rng& rng) { r.prompt_tokens = exponential_tokens(rng, 100000); };
  const std::string engine = kOneByOne + "stations=100 router=power-of-two cost: 1us*prefill";
  const Estimate seen = over_seeds(engine, 100 * load / service, 40000, shape, mean_e2e);
  EXPECT_NEAR(seen.mean / (theory * service), 1, 0.02);   // n = 100 stations are not infinitely many
}

/// Little's law holds as an identity of every run, not only on average.
TEST(Queueing, LittlesLawIsExact) {
  const std::string engine = "engine batching=sarathi kv=paged kv_blocks=400 block=16 cost: 5ms + 20us*token";
  const Scenario scenario = parse_scenarios(engine, "little").at(0);
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Poisson source(seed, 20, 2000, [](Request& r, Rng& rng) {
      r.prompt_tokens = exponential_tokens(rng, 200);
      r.output_tokens = exponential_tokens(rng, 60);
    });
    const Summary s = run_engine(scenario, source, {}, nullptr, nullptr).summary;
    EXPECT_EQ(s.broken, std::vector<std::string>{});
    EXPECT_NEAR(s.mean_in_system * s.duration_s, s.latencies.e2e.mean * static_cast<double>(s.latencies.e2e.count),
                1e-9 * s.mean_in_system * s.duration_s);
  }
}

}  // namespace
}  // namespace orrery
