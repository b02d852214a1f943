/// Quantile grids, workload models and their fits: against synthetic samples always, against the published traces where
/// they are.
#include <cmath>
#include <numeric>

#include <gmock/gmock.h>

#include "sim/base/distribution.hpp"
#include "sim/base/rng.hpp"
#include "tests/traces/support.hpp"
#include "traces/fit.hpp"
#include "traces/prefix.hpp"
#include "traces/shipped_models.hpp"
#include "traces/stats.hpp"

namespace orrery {
namespace {

double mean_of(const std::vector<std::int64_t>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

double distance(std::vector<std::int64_t> a, std::vector<std::int64_t> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double worst = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const std::int64_t x = std::min(a[i], b[j]);
    while (i < a.size() && a[i] == x) ++i;
    while (j < b.size() && b[j] == x) ++j;
    worst = std::max(worst, std::abs(static_cast<double>(i) / static_cast<double>(a.size()) -
                                     static_cast<double>(j) / static_cast<double>(b.size())));
  }
  return worst;
}

std::vector<std::int64_t> lognormal_sample(const char* text, int n) {
  const Distribution d = Distribution::parse(text);
  std::vector<std::int64_t> v;
  for (int i = 0; i < n; ++i) {
    Rng rng(9, Purpose::kFuzz, static_cast<std::uint64_t>(i));
    v.push_back(d.count(rng));
  }
  return v;
}

TEST(QuantileGrid, KeepsTheDistanceAndTheMeanItPromises) {
  const auto values = lognormal_sample("lognormal:1155,1.1", 20'000);
  const QuantileGrid g = QuantileGrid::fit(values, 0.003);
  EXPECT_LT(g.knots(), 200u);
  EXPECT_NEAR(g.mean() / mean_of(values), 1, 0.004);
  double worst = 0;
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i + 1 < sorted.size() && sorted[i + 1] == sorted[i]) continue;
    worst =
        std::max(worst, std::abs(g.cdf(sorted[i]) - static_cast<double>(i + 1) / static_cast<double>(sorted.size())));
  }
  EXPECT_LE(worst, 0.003 + 1e-6);
  EXPECT_EQ(g.max(), sorted.back());
}

TEST(QuantileGrid, DrawsMatchItsDistributionFunction) {
  const QuantileGrid g = QuantileGrid::fit(lognormal_sample("lognormal:50,1", 5'000), 0.005);
  constexpr int kN = 100'000;
  int below = 0;
  double sum = 0;
  for (int i = 0; i < kN; ++i) {
    const std::int64_t x = g.at((i + 0.5) / kN);
    below += x <= 30;
    sum += static_cast<double>(x);
  }
  EXPECT_NEAR(below / static_cast<double>(kN), g.cdf(30), 2e-5);
  EXPECT_NEAR(sum / kN, g.mean(), g.mean() * 1e-3);
}

TEST(QuantileGrid, AtomsSurvive) {
  std::vector<std::int64_t> v(900, 7);
  v.insert(v.end(), 100, 1000);
  const QuantileGrid g = QuantileGrid::fit(v, 0.001);
  int sevens = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t x = g.at((i + 0.5) / 1000);
    EXPECT_TRUE(x == 7 || x == 1000) << x;
    sevens += x == 7;
  }
  EXPECT_EQ(sevens, 900);
  EXPECT_EQ(QuantileGrid::fit({5}, 0.01).at(0.999), 5);
}

TEST(QuantileGrid, RoundTripsThroughJson) {
  const QuantileGrid g = QuantileGrid::fit(lognormal_sample("lognormal:200,1", 3'000), 0.005);
  const QuantileGrid again = QuantileGrid::from_value(parse_json(to_json(g.to_value())));
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(g.at(i / 10'000.0), again.at(i / 10'000.0));
}

TEST(QuantileGrid, MalformedGridsAreRefused) {
  const auto refused = [](const char* json) { return message_of([&] { QuantileGrid::from_value(parse_json(json)); }); };
  const std::string rule = "expected as many x as ppm, x rising from 0 or more, ppm rising from 0 to 1000000";
  for (const char* json : {R"({"x": [1], "ppm": [0]})", R"({"x": [1, 2], "ppm": [0]})",
                           R"({"x": [2, 1], "ppm": [0, 1000000]})", R"({"x": [1, 2], "ppm": [0, 999999]})",
                           R"({"x": [-1, 2], "ppm": [0, 1000000]})", R"({"x": [1, 2, 3], "ppm": [0, -1, 1000000]})"}) {
    EXPECT_THAT(refused(json), testing::HasSubstr(rule)) << json;
  }
}

TEST(RankCorrelation, OfKnownOrders) {
  EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {10, 20, 30, 40}), 1);
  EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {4, 3, 2, 1}), -1);
  EXPECT_DOUBLE_EQ(rank_correlation({1, 1, 1, 1}, {4, 3, 2, 1}), 0);
  EXPECT_NEAR(rank_correlation({1, 2, 2, 3}, {1, 2, 2, 3}), 1, 1e-12);
}

/// Outputs that follow the prompts: the joint structure survives the fit.
TEST(Fit, KeepsTheDependenceOfOutputOnPrompt) {
  WorkloadSample s;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    Rng rng(4, Purpose::kFuzz, i);
    const double u = rng.uniform(), noise = rng.uniform();
    s.prompt.push_back(1 + static_cast<std::int64_t>(u * 4000));
    s.output.push_back(1 + static_cast<std::int64_t>((0.7 * u + 0.3 * noise) * 500));
  }
  const WorkloadModel m = fit_model(s, "synthetic", "made here");
  std::vector<std::int64_t> prompt, output;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    Rng rng(5, Purpose::kFuzz, i);
    const auto [p, o] = m.draw(rng.uniform(), rng.uniform());
    prompt.push_back(p);
    output.push_back(o);
  }
  EXPECT_NEAR(rank_correlation(prompt, output), rank_correlation(s.prompt, s.output), 0.02);
  EXPECT_LT(distance(prompt, s.prompt), 0.003 + 1.63 * std::sqrt(2 / 1e4));   // fit + sampling at 1 %
  EXPECT_LT(distance(output, s.output), 0.010 + 1.63 * std::sqrt(2 / 1e4));
}

TEST(Fit, FindsRateAndBurstinessOfATrace) {
  std::string text = "arrival_s,prompt_tokens,output_tokens\n";
  for (int i = 0; i < 1000; ++i)
    text += std::to_string(i / 2 * 4 + i % 2) + ",10,10\n";  // gaps 1, 3, 1, 3: mean 2, deviation 1
  TraceReader trace = TraceReader::from_text("t", text);
  const WorkloadSample s = sample_of(trace);
  EXPECT_NEAR(s.rate, 0.5, 1e-3);
  EXPECT_NEAR(s.gap_cv, 0.5, 1e-3);
}

TEST(TraceStats, OfASmallTrace) {
  std::string text;
  for (int i = 1; i <= 100; ++i) {
    text += "{\"timestamp\": " + std::to_string(i * 1000) + ", \"input_length\": " + std::to_string(512 + i) +
            ", \"output_length\": " + std::to_string(i) + ", \"hash_ids\": [0, " + std::to_string(i) + "]}\n";
  }
  TraceReader trace = TraceReader::from_text("t.jsonl", text);
  const Value v = trace_stats(trace);
  EXPECT_EQ(v.at("format").as_string(), "mooncake");
  EXPECT_EQ(v.at("requests").as_int(), 100);
  EXPECT_EQ(v.at("span_s").as_double(), 99);
  EXPECT_DOUBLE_EQ(v.at("rate").as_double(), 1);
  EXPECT_NEAR(v.at("gap_cv").as_double(), 0, 1e-9);
  EXPECT_EQ(v.at("output_tokens").at("mean").as_double(), 50.5);
  EXPECT_EQ(v.at("output_tokens").at("p50").as_int(), 50);
  EXPECT_EQ(v.at("output_tokens").at("p99").as_int(), 99);
  EXPECT_EQ(v.at("prompt_tokens").at("max").as_int(), 612);
  EXPECT_DOUBLE_EQ(v.at("rank_correlation").as_double(), 1);
  EXPECT_DOUBLE_EQ(v.at("block_hit_ratio").as_double(), 99 / 200.0);
}

TEST(Reuse, SharedBlocksAreLeadingOnesOfAnEarlierPrompt) {
  WorkloadModel m = find_workload_model("mooncake-conversation", SearchPath{{}});
  PrefixReuse reuse(*m.reuse, m.prompt, 3);
  std::unordered_set<std::uint64_t> seen;
  double hits = 0, all = 0;
  for (std::uint64_t n = 0; n < 20'000; ++n) {
    const std::int64_t prompt = m.prompt.at(Rng(3, Purpose::kLength, 2 * n).uniform());
    std::int64_t tokens = 0;
    bool leading = true;
    for (const Segment& s : reuse.segments(n, prompt)) {
      const bool hit = !seen.insert(s.key).second;
      EXPECT_TRUE(leading || !hit) << "a shared block behind a fresh one, request " << n;
      leading = leading && hit;
      hits += hit;
      ++all;
      tokens += s.tokens.value();
    }
    EXPECT_EQ(tokens, prompt);
  }
  EXPECT_NEAR(hits / all, 0.366, 0.015);
}

// ---- the models that ship
// ---------------------------------------------------------------------------------------------

TEST(ShippedModels, AreAllBuiltInAndSayHowWellTheyFit) {
  const std::vector<std::string> names = builtin_workload_models();
  EXPECT_THAT(names, testing::ElementsAre("alpaca-like", "arxiv-summarization", "azure-code-2023", "azure-conv-2023",
                                          "lmsys-chat", "long-generation", "mooncake-conversation", "sharegpt-like"));
  for (const std::string& name : names) {
    const Value v = parse_json(builtin_workload_model(name), name);
    EXPECT_EQ(v.at("name").as_string(), name);
    EXPECT_FALSE(v.at("source").as_string().empty());
    EXPECT_LE(v.at("fit").at("ks_prompt").as_double(), 0.004) << name;
    EXPECT_LE(v.at("fit").at("ks_output").as_double(), 0.010) << name;
    const WorkloadModel m = WorkloadModel::from_value(v);
    const Value again = m.to_value();
    for (const auto& [key, value] : again.members())
      EXPECT_EQ(to_json(value), to_json(v.at(key))) << name << " " << key;
  }
}

struct Means { const char* name; double prompt, output; };
class ShippedMeans : public testing::TestWithParam<Means> {};

TEST_P(ShippedMeans, AreThoseOfTheirSources) {
  const WorkloadModel m = find_workload_model(GetParam().name, SearchPath{{}});
  EXPECT_NEAR(m.mean_prompt() / GetParam().prompt, 1, 0.01);
  EXPECT_NEAR(m.mean_output() / GetParam().output, 1, 0.015);
}

INSTANTIATE_TEST_SUITE_P(All, ShippedMeans,
                         testing::Values(Means{"azure-conv-2023", 1155, 211}, Means{"azure-code-2023", 2048, 28},
                                         Means{"mooncake-conversation", 12'035, 343}, Means{"lmsys-chat", 62, 162},
                                         Means{"long-generation", 308, 1144}, Means{"arxiv-summarization", 2588, 291},
                                         Means{"sharegpt-like", 144, 326}, Means{"alpaca-like", 19.3, 65.5}));

/// The committed numbers are what the fitter makes of the sources today: nothing was edited by hand.
TEST(ShippedModels, AreReproducedBitForBit) {
  ORRERY_NEEDS_TRACES();
  for (const ShippedModel& m : shipped_models()) {
    EXPECT_EQ(to_json(fit_shipped_model(m.name, trace_folder()), -1),
              to_json(parse_json(builtin_workload_model(m.name)), -1))
        << m.name;
  }
}

/// Two-sample Kolmogorov-Smirnov distance of as many draws as the trace has rows: fit error plus 1 % critical value.
TEST(ShippedModels, DrawsAreCloseToTheTraces) {
  ORRERY_NEEDS_TRACES();
  for (const char* name : {"azure-conv-2023", "azure-code-2023", "mooncake-conversation", "arxiv-summarization",
                           "lmsys-chat", "long-generation"}) {
    const auto& all = shipped_models();
    const auto shipped = std::find_if(all.begin(), all.end(), [&](const ShippedModel& m) { return m.name == name; });
    TraceReader trace =
        TraceReader::open(trace_folder() + "/" + std::string(shipped->file), {.arrivals = false, .output = 0});
    const WorkloadSample s = sample_of(trace);
    const WorkloadModel m = find_workload_model(name, SearchPath{{}});
    std::vector<std::int64_t> prompt, output;
    for (std::uint64_t i = 0; i < s.prompt.size(); ++i) {
      const auto [p, o] =
          m.draw(Rng(2, Purpose::kLength, 2 * i).uniform(), Rng(2, Purpose::kLength, 2 * i + 1).uniform());
      prompt.push_back(p);
      output.push_back(o);
    }
    const double critical = 1.63 * std::sqrt(2 / static_cast<double>(s.prompt.size()));
    EXPECT_LT(distance(prompt, s.prompt), 0.003 + critical) << name;
    EXPECT_LT(distance(output, s.output), 0.010 + critical) << name;
  }
}

TEST(WorkloadModelFile, BesideTheConfigComesFirst) {
  Folder folder;
  const char* json = R"({"name": "mine", "source": "test", "prompt": {"x": [100, 101], "ppm": [0, 1000000]},
                         "output_by_prompt": [{"x": [7, 8], "ppm": [0, 1000000]}]})";
  folder.write("azure-conv-2023.json", json);
  const WorkloadModel m = find_workload_model("azure-conv-2023", SearchPath{{folder.path()}});
  EXPECT_EQ(m.draw(0.3, 0.3), (std::pair<std::int64_t, std::int64_t>{100, 7}));
  EXPECT_EQ(m.rate, 0);
}

TEST(WorkloadModelFile, MistakesAreTold) {
  Folder folder;
  const SearchPath path{{folder.path()}};
  EXPECT_EQ(message_of([&] { find_workload_model("azure-conv", path); }),
            "unknown workload model \"azure-conv\"; did you mean \"azure-conv-2023\"?");
  folder.write("a.json",
               R"({"name": "a", "source": "", "prompt": {"x": [0, 5], "ppm": [0, 1000000]}, "output_by_prompt": []})");
  EXPECT_THAT(message_of([&] { find_workload_model("a", path); }), testing::HasSubstr("/prompt/x: lengths start at 1"));
  folder.write("b.json",
               R"({"name": "b", "source": "", "prompt": {"x": [1, 5], "ppm": [0, 1000000]}, "output_by_prompt": []})");
  EXPECT_THAT(message_of([&] { find_workload_model("b", path); }),
              testing::HasSubstr("/output_by_prompt: must not be empty"));
  folder.write("c.json", R"({"name": "c"})");
  EXPECT_THAT(message_of([&] { find_workload_model("c", path); }), testing::HasSubstr("missing key"));
}

}  // namespace
}  // namespace orrery
