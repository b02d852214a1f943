/// What requests are charged: shares by arithmetic, sums equal to the meter's, fast-forwarded as stepped, and a run
/// that charges decides as one that does not.
#include <gtest/gtest.h>

#include "tests/cluster/support.hpp"
#include "tests/differential/fuzz.hpp"

namespace orrery {
namespace {

struct Charged {
  std::map<std::uint64_t, Row> rows;
  Outcome outcome;
};

Charged run_charged(const Scenario& scenario, const ChargeParts* charges, const TariffParts* tariff = nullptr,
                    bool fast_forward = true) {
  ScenarioSource source(scenario);
  Rows rows;
  EngineOptions options{.fast_forward = fast_forward};
  options.charges = charges;
  options.tariff = tariff;
  Charged run;
  run.outcome = run_engine(scenario, source, options, &rows, nullptr);
  run.rows = std::move(rows.rows);
  return run;
}

Charged run_charged(const std::string& text, const ChargeParts& charges) {
  return run_charged(parse_scenarios(text, "test").front(), &charges);
}

/// A step of the scenarios' cost takes 11 + 5 * tokens + 2 * context nJ. The first computes 10 + 30 prompt tokens: 211
/// nJ. Then both decode, with contexts 11 + 31: 11 + 10 + 84 = 105 nJ; then b alone, with 32: 11 + 5 + 64 = 80 nJ.
TEST(Charges, AStepIsSharedByTheTokensThatItComputes) {
  const StepSignal price(1000);
  const Charged r = run_charged("engine batching=sarathi kv_blocks=100 block=16  cost: 10ms\n"
                                "t=0ms a prompt=10 out=2\nt=0ms b prompt=30 out=3\n", {{&price}, nullptr});
  EXPECT_EQ(r.rows.at(0).spent.energy, 211 * 10 / 40 + 105 / 2);
  EXPECT_EQ(r.rows.at(1).spent.energy, 211 * 30 / 40 + 1 + 105 / 2 + 80 + 1);   // remainders go to those who are there
  const Wide step = static_cast<Wide>(10'000'000'000) * 1000;
  EXPECT_EQ(r.rows.at(0).spent.money, step / 4 + step / 2);
  EXPECT_EQ(r.outcome.charges->left, Spend{});
  EXPECT_EQ(r.outcome.charges->by_station.at(0).prompt_tokens, 40);
  EXPECT_EQ(r.outcome.charges->by_station.at(0).output_tokens, 5);
}

/// A prompt in chunks beside a call that decodes: it pays for as many parts of each step as it has tokens in it.
TEST(Charges, AChunkBesideADecodeIsOnePartATokenEach) {
  const StepSignal price(1);
  const Charged r = run_charged("engine batching=sarathi token_budget=11 kv_blocks=100 block=16  cost: 11us\n"
                                "t=0ms a prompt=11 out=3\nt=1us b prompt=20 out=1\n", {{&price}, nullptr});
  const Wide us = 1'000'000;
  EXPECT_EQ(r.rows.at(0).spent.money, 11 * us + us + us);   // its prompt alone, then one token of eleven
  EXPECT_EQ(r.rows.at(1).spent.money, 10 * us + 10 * us);
}

/// Idle power and idle time are nobody's; the price that holds while a step runs counts.
TEST(Charges, MoneyFollowsThePriceWithinAStep) {
  const StepSignal price({{Time{}, 3}, {Time{} + 25ms, 7}});
  const Charged r = run_charged("engine batching=sarathi kv_blocks=100 block=16  cost: 10ms\n"
                                "t=10ms a prompt=10 out=5\n", {{&price}, nullptr});
  EXPECT_EQ(r.rows.at(0).spent.money, static_cast<Wide>(1'000'000'000) * (15 * 3 + 35 * 7));
  EXPECT_EQ(r.outcome.charges->requests.money, r.rows.at(0).spent.money);
}

/// Of each attempt of a client, too.
TEST(Charges, ARequestPaysForAllItsAttempts) {
  const StepSignal price(1);
  const Charged r = run_charged("engine batching=sarathi kv_blocks=100 block=16  cost: 10ms\n"
                                "class 0 timeout=25ms retries=2 backoff=10ms\nt=0ms a prompt=10 out=9\n",
                                {{&price}, nullptr});
  EXPECT_EQ(r.rows.at(0).status, Status::kTimedOut);
  EXPECT_EQ(r.rows.at(0).retries, 2);
  EXPECT_EQ(r.rows.at(0).spent.money, static_cast<Wide>(90'000'000'000));   // three attempts of three steps each
}

/// Random runs of every policy: charges change nothing, add up to what the tariff says of steps, and are the same
/// stepped.
TEST(Charges, AddUpToTheTariffAndChangeNothing) {
  std::int64_t pipelines = 0, shared = 0;
  for (std::uint64_t i = 0; i < 1500; ++i) {
    const Scenario s = random_scenario(17, i);
    SCOPED_TRACE("scenario " + std::to_string(i) + "\n" + to_text(s));
    const auto stations = static_cast<std::size_t>(s.stations);
    const ChangingPrices prices(stations);
    const TariffParts tariff{.price = prices.parts.price, .carbon = &prices.carbon};
    const Charged plain = run_charged(s, nullptr), fast = run_charged(s, &prices.parts, &tariff),
                  stepped = run_charged(s, &prices.parts, &tariff, false);
    ASSERT_EQ(plain.outcome.fingerprint, fast.outcome.fingerprint);
    ASSERT_EQ(stepped.outcome.fingerprint, fast.outcome.fingerprint);
    const ChargeResult& charges = *fast.outcome.charges;
    Spend rows;
    for (const auto& [number, row] : fast.rows) {
      ASSERT_EQ(row.spent, stepped.rows.at(number).spent) << number;
      rows += row.spent;
    }
    ASSERT_EQ(rows, charges.requests);
    Spend all = charges.requests;
    all += charges.left;
    ASSERT_DOUBLE_EQ(all.grams(), fast.outcome.grams);          // no device draws anything while it is idle
    ASSERT_DOUBLE_EQ(all.joules(), fast.outcome.summary.joules);
    pipelines += s.cost.stages > 1;
    shared += charges.left.energy != 0;
  }
  EXPECT_GT(pipelines, 200);
  EXPECT_GT(shared, 10);   // some of it is nobody's
}

/// At a price that does not change, the money of steps is busy time.
TEST(Charges, MoneyIsBusyTime) {
  const StepSignal price(12);
  for (std::uint64_t i = 0; i < 300; ++i) {
    const Scenario s = random_scenario(18, i);
    const ChargeParts parts{std::vector<const StepSignal*>(static_cast<std::size_t>(s.stations), &price), nullptr};
    const Charged r = run_charged(s, &parts);
    for (std::size_t k = 0; k < r.outcome.stations.size(); ++k)
      ASSERT_EQ(r.outcome.charges->by_station[k].spent.money, static_cast<Wide>(to_ps(r.outcome.stations[k].busy)) * 12)
          << to_text(s);
  }
}

}  // namespace
}  // namespace orrery
