/// The step price: exact closed form, additivity, monotonicity, splits, energy, and equality of equal questions.
#include <gtest/gtest.h>

#include <limits>

#include "hwmodels/deployment.hpp"
#include "hwmodels/knots.hpp"
#include "hwmodels/linear_model.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

StepShape decodes(std::int64_t n, std::int64_t context) {
  StepShape s;
  s.decodes = Tokens{n};
  s.decode_context = Tokens{context};
  s.sequences = s.outputs = static_cast<std::int32_t>(n);
  return s;
}

/// `chunks` must outlive the shape.
StepShape prompts(const std::vector<ChunkShape>& chunks) {
  StepShape s;
  std::int64_t pairs2 = 0;
  for (const ChunkShape& c : chunks) {
    s.prefill += c.q;
    pairs2 += c.q.value() * (2 * c.context.value() + c.q.value());
  }
  s.prefill_pairs = pairs2 / 2;
  s.sequences = s.outputs = static_cast<std::int32_t>(chunks.size());
  s.chunks = chunks;
  return s;
}

HostTerms no_host() {
  HostTerms host;
  host.source = "none";
  return host;
}

OperatorCostModel llama8b(const char* hardware = "h200-sxm", Parallel parallel = {}) {
  return {load_model("llama-3.1-8b", {}), load_hardware(hardware, {}), parallel, no_host()};
}

StepRun price(const OperatorCostModel& m, const StepShape& s, int stage = 0) { return m.price({&s, 1}, stage); }

TEST(Knots, IndexAndValueAgreeAndKnotsAreDense) {
  for (std::int64_t x = 0; x < 5000; ++x) {
    const std::size_t i = Knots<3>::index(x);
    ASSERT_LE(Knots<3>::value(i), x);
    ASSERT_GT(Knots<3>::value(i + 1), x);
    ASSERT_EQ(Knots<3>::inverse_width(i) * static_cast<double>(Knots<3>::value(i + 1) - Knots<3>::value(i)), 1);
  }
  EXPECT_EQ(Knots<3>::index(1 << 21) - Knots<3>::index(1 << 20), 8u);  // eight an octave
  EXPECT_EQ(Knots<4>::value(Knots<4>::index(31)), 31);
}

/// Two all-reduces a layer of what a token's hidden state takes, and half of one over the logits; at knots to a
/// picosecond a term. They are part of the price, and those of the stages are those of the whole.
TEST(OperatorModel, CollectivesAreThoseOfTheLinks) {
  const Hardware h = load_hardware("h200-sxm", {});
  const OperatorCostModel one = llama8b(), two = llama8b("h200-sxm", {2, 1}), staged = llama8b("h200-sxm", {2, 2});
  const ModelShape& shape = two.model();
  for (const std::int64_t n : {1, 16, 64, 512}) {
    const StepShape x = decodes(n, 100 * n);
    EXPECT_EQ(one.collectives(x, 0), Duration{});
    const auto bytes = [&](std::int64_t values) { return static_cast<double>(n * values) * 2; };
    const double layer = 2 * h.all_reduce_seconds(2, bytes(shape.hidden));
    const double head = 0.5 * h.all_reduce_seconds(2, bytes(shape.vocabulary));
    const double all = h.step_correction * (static_cast<double>(shape.layers) * layer + head);
    EXPECT_NEAR(to_seconds(two.collectives(x, 0)), all, 3e-12) << n;
    EXPECT_LT(two.collectives(x, 0), price(two, x).first);
    EXPECT_NEAR(to_seconds(staged.collectives(x, 0) + staged.collectives(x, 1)), all, 5e-12) << n;
  }
}

/// For k iterations up to `valid`, asking each time gives what the closed form says: time, energy, FLOPs, bytes.
TEST(OperatorModel, DecodeRunEqualsItsSteps) {
  const OperatorCostModel model = llama8b();
  Rng rng(3, Purpose::kFuzz, 0);
  for (int draw = 0; draw < 400; ++draw) {
    const auto n = static_cast<std::int64_t>(1 + rng.below(300));
    const std::int64_t context = n + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(n) * 20000));
    const StepRun run = price(model, decodes(n, context));
    ASSERT_GE(run.valid, 1);
    ASSERT_GE(run.step.count(), 0);
    for (std::int64_t j = 0; j < std::min<std::int64_t>(run.valid, 40); ++j) {
      const StepRun step = price(model, decodes(n, context + j * n));
      ASSERT_EQ(step.first, run.at(j)) << n << " decodes, context " << context << ", iteration " << j;
      ASSERT_EQ(step.e_first, run.e_first + j * run.e_step);
      ASSERT_EQ(step.flops, run.flops + j * run.flops_step);
      ASSERT_EQ(step.bytes, run.bytes + j * run.bytes_step);
      ASSERT_EQ(step.valid, run.valid - j);
    }
    const StepRun last = price(model, decodes(n, context + (run.valid - 1) * n));
    ASSERT_EQ(last.first, run.at(run.valid - 1));
  }
}

TEST(OperatorModel, MoreContextIsNeverCheaper) {
  const OperatorCostModel model = llama8b();
  for (const std::int64_t n : {1, 7, 64, 256}) {
    Duration before{};
    for (std::int64_t context = n * 16; context < n * 100000; context += context / 5) {
      const Duration t = price(model, decodes(n, context)).first;
      EXPECT_GE(t + Duration{1'000'000}, before) << n << " " << context;  // rounding of slopes: below a microsecond
      before = t;
    }
  }
}

TEST(OperatorModel, EqualQuestionsHaveEqualAnswersInAnyOrder) {
  const OperatorCostModel one = llama8b(), other = llama8b();
  const std::vector<ChunkShape> chunk{{256_tok, 512_tok}};
  StepShape mixed = prompts(chunk);
  mixed.decodes = 31_tok, mixed.decode_context = Tokens{31 * 900}, mixed.sequences = 32, mixed.outputs = 31;
  const StepRun first = price(one, mixed);
  price(other, decodes(5, 5000));
  price(other, decodes(31, 31 * 900));
  EXPECT_EQ(price(other, mixed).first, first.first);
  EXPECT_EQ(price(other, mixed).e_first, first.e_first);
}

TEST(OperatorModel, IsNeverBelowTheRoofline) {
  for (const char* hardware : {"h200-sxm", "h100-sxm", "a100-80g"}) {
    const OperatorCostModel model = llama8b(hardware);
    for (const std::int64_t n : {1, 16, 128, 512}) {
      const StepShape s = decodes(n, n * 1000);
      EXPECT_GT(price(model, s).first, model.roofline(s, 0)) << hardware << " " << n;
    }
    for (const std::int64_t q : {64, 512, 2048, 8192}) {
      const std::vector<ChunkShape> chunk{{0_tok, Tokens{q}}};
      EXPECT_GT(price(model, prompts(chunk)).first, model.roofline(prompts(chunk), 0)) << hardware << " " << q;
    }
  }
}

TEST(OperatorModel, OneChunkGivenAsSumsOrAsASpanCostsTheSame) {
  const OperatorCostModel model = llama8b();
  const std::vector<ChunkShape> chunk{{1000_tok, 512_tok}};
  StepShape s = prompts(chunk);
  const StepRun spelled = price(model, s);
  s.chunks = {};
  EXPECT_EQ(price(model, s).first, spelled.first);
}

TEST(OperatorModel, ManyChunksCostLessThanEachAloneAndMoreThanTheLargest) {
  const OperatorCostModel model = llama8b();
  const std::vector<ChunkShape> three{{0_tok, 700_tok}, {2000_tok, 300_tok}, {0_tok, 40_tok}};
  Duration sum{}, largest{};
  for (const ChunkShape& c : three) {
    const std::vector<ChunkShape> one{c};
    const Duration t = price(model, prompts(one)).first;
    sum += t;
    largest = std::max(largest, t);
  }
  const Duration together = price(model, prompts(three)).first;
  EXPECT_LT(together, sum);
  EXPECT_GT(together, largest);
}

TEST(OperatorModel, TensorParallelIsFasterButNotByAllOfIt) {
  const auto with_tp = [](int tp) {
    const OperatorCostModel m(load_model("llama-3.1-70b", {}), load_hardware("h200-sxm", {}), {tp, 1}, no_host());
    return price(m, decodes(32, 32 * 2000)).first;
  };
  const Duration two = with_tp(2), four = with_tp(4), eight = with_tp(8);
  EXPECT_LT(four, two);
  EXPECT_LT(eight, four);
  EXPECT_GT(2 * four, two);
  EXPECT_GT(2 * eight, four);
}

TEST(OperatorModel, StagesOfAPipelineShareTheLayers) {
  const ModelShape m = load_model("llama-3.1-8b", {});
  EXPECT_EQ(layers_of_stage(m, {1, 3}, 0), 11);
  EXPECT_EQ(layers_of_stage(m, {1, 3}, 2), 10);
  const OperatorCostModel whole = llama8b(), split = llama8b("h200-sxm", {1, 4});
  const StepShape s = decodes(16, 16000);
  Duration sum{};
  for (int stage = 0; stage < 4; ++stage) sum += price(split, s, stage).first;
  EXPECT_NEAR(to_seconds(sum) / to_seconds(price(whole, s).first), 1, 1e-3);
  EXPECT_EQ(split.stages(), 4);
  EXPECT_GT(split.hop(1024_tok), split.hop(1_tok));
  EXPECT_EQ(whole.hop(1024_tok), Duration{});
}

TEST(OperatorModel, PcieTrafficHidesBehindComputationUntilItIsLonger) {
  const OperatorCostModel model = llama8b();
  StepShape s = decodes(8, 8000);
  const Duration alone = price(model, s).first;
  s.host_out = Bytes{1 << 20};
  EXPECT_EQ(price(model, s).first, alone);
  EXPECT_EQ(price(model, s).valid, 1);
  s.host_out = Bytes{std::int64_t{10} << 30};
  EXPECT_GT(price(model, s).first, 10 * alone);
}

TEST(OperatorModel, HostTermsAddUpAndEagerLaunchingSetsAFloor) {
  HostTerms host = no_host();
  host.step_s = 1e-3, host.per_sequence_s = 1e-5;
  const OperatorCostModel model(load_model("llama-3.1-8b", {}), load_hardware("h200-sxm", {}), {}, host);
  const StepRun run = price(model, decodes(10, 10000));
  EXPECT_EQ(run.host, Duration(1100us));
  EXPECT_EQ(run.first - run.host, price(llama8b(), decodes(10, 10000)).first);
  host = no_host();
  host.launch_per_layer_s = 1e-3;
  const OperatorCostModel eager(load_model("llama-3.1-8b", {}), load_hardware("h200-sxm", {}), {}, host);
  EXPECT_EQ(price(eager, decodes(1, 100)).first, Duration(32ms));
}

TEST(OperatorModel, PowerStaysBetweenActiveAndLimit) {
  const OperatorCostModel model = llama8b("h100-sxm");
  for (const StepShape& s : {decodes(1, 1000), decodes(64, 64000), decodes(512, 512 * 500)}) {
    const StepRun r = price(model, s);
    const double watts = static_cast<double>(r.e_first.value()) * 1e-9 / to_seconds(r.first);
    EXPECT_GT(watts, 150);
    EXPECT_LE(watts, 700.1);
  }
}

TEST(OperatorModel, GradeAndRangeAreReported) {
  EXPECT_EQ(price(llama8b(), decodes(8, 8000)).grade, Grade::kFitted);
  EXPECT_TRUE(price(llama8b(), decodes(8, 8000)).in_range);
  EXPECT_FALSE(price(llama8b(), decodes(8, 8 * 500000)).in_range);   // contexts beyond the table
  EXPECT_EQ(price(llama8b("l4"), decodes(8, 8000)).grade, Grade::kDatasheet);
}

/// The tables have whole prompts only: a chunk behind a cached context is priced by an assumption, and says so.
TEST(OperatorModel, AChunkBehindAContextIsOutOfRange) {
  const OperatorCostModel model = llama8b();
  const auto in_range = [&](const std::vector<ChunkShape>& chunks) { return price(model, prompts(chunks)).in_range; };
  EXPECT_TRUE(in_range({{0_tok, 1000_tok}}));
  EXPECT_FALSE(in_range({{1_tok, 1000_tok}}));
  EXPECT_TRUE(in_range({{0_tok, 1000_tok}, {0_tok, 100_tok}, {0_tok, 7000_tok}}));   // unequal whole prompts
  EXPECT_FALSE(in_range({{0_tok, 1000_tok}, {16_tok, 100_tok}}));
  EXPECT_FALSE(in_range({{0_tok, 1000_tok}, {1_tok, 1000_tok}}));
  const std::vector<ChunkShape> behind{{512_tok, 512_tok}};
  StepShape mixed = prompts(behind);
  mixed.decodes = 4_tok, mixed.decode_context = 4000_tok, mixed.sequences = 5, mixed.outputs = 4;
  EXPECT_FALSE(price(model, mixed).in_range);
  mixed.chunks = {};                                                                   // told by the sums alone
  EXPECT_FALSE(price(model, mixed).in_range);
  EXPECT_FALSE(quote(load_hardware("h200-sxm", {}), "prefill",
                     {{"batch", 1}, {"q", 512}, {"context", 512}, {"heads", 32}, {"kv_heads", 8}, {"head_dim", 128}})
                   .in_range);
}

TEST(OperatorModel, PerturbedDrawsAreReproducibleAndAsWideAsTheError) {
  const OperatorCostModel model = llama8b();
  const StepShape s = decodes(64, 64000);
  const double base = to_seconds(price(model, s).first);
  EXPECT_EQ(price(*model.perturbed(5), s).first, price(*model.perturbed(5), s).first);
  double variance = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const double ratio = to_seconds(price(*model.perturbed(seed), s).first) / base - 1;
    variance += ratio * ratio / 60;
  }
  EXPECT_GT(variance, 0.003 * 0.003);
  EXPECT_LT(variance, 0.03 * 0.03);
}

TEST(OperatorModel, RefusesSplitsThatDoNotDivide) {
  try {
    llama8b("h200-sxm", {3, 1});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(), "model \"llama-3.1-8b\": tp 3 does not divide its 32 heads");
  }
}

TEST(LinearModel, PricesTheLineItIsGiven) {
  const LinearCostModel model(parse_linear_cost("10ms + 1ms*token + 2ns*context"));
  const StepShape s = decodes(3, 1000);
  const StepRun r = model.price({&s, 1}, 0);
  EXPECT_EQ(r.first, Duration(13ms) + Duration(2us));
  EXPECT_EQ(r.step, Duration(6ns));
  EXPECT_GT(r.valid, 1'000'000'000'000);
  const std::vector<ChunkShape> chunk{{0_tok, 100_tok}};
  const StepShape p = prompts(chunk);
  EXPECT_EQ(model.price({&p, 1}, 0).first, Duration(110ms));
  EXPECT_EQ(model.price({&p, 1}, 0).valid, 1);
}

TEST(LinearModel, NamesWhatItDoesNotUnderstand) {
  try {
    parse_linear_cost("10ms + 1ms*tokens");
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(), "cost \"10ms + 1ms*tokens\": unknown quantity \"tokens\"; known: token, context, sequence");
  }
}

}  // namespace
}  // namespace orrery
