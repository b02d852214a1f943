/// Names, files, capacity, quotes; and whole-model sums beside published measurements.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "calibrate/fit/table.hpp"
#include "hwmodels/deployment.hpp"
#include "tests/hwmodels/data.hpp"

namespace orrery {
namespace {

TEST(Catalogue, EveryBuiltInEntryLoads) {
  for (const std::string& gpu : built_in_names(Catalogue::kGpus)) {
    const Hardware h = load_hardware(gpu, {});
    EXPECT_EQ(h.name, gpu);
    EXPECT_GT(h.gemm.seconds({64, 4096, 4096}), 0) << gpu;
    EXPECT_FALSE(h.specs.source.empty()) << gpu;
    EXPECT_FALSE(h.power.source.empty()) << gpu;
    EXPECT_EQ(h.grade == Grade::kDatasheet, !h.scaled_from.empty()) << gpu;
  }
  for (const std::string& engine : built_in_names(Catalogue::kEngines))
    EXPECT_FALSE(load_engine(engine, {}).host.source.empty());
  for (const std::string& model : built_in_names(Catalogue::kModels)) {
    const Value v = find_entry(Catalogue::kModels, model, {}).value;
    EXPECT_FALSE(v.at("source").as_string().empty()) << model;
    if (v.find("moe") == nullptr && v.find("mla") == nullptr) {
      EXPECT_GT(load_model(model, {}).parameters(), model == "llama-tiny" ? 3'000'000 : 1'000'000'000) << model;
    }
  }
}

TEST(Catalogue, NamesIgnoreCaseAndKnowAliases) {
  EXPECT_EQ(load_model("Llama-3.1-8B", {}).name, "llama-3.1-8b");
  EXPECT_EQ(load_model("llama_3.1_8b", {}).name, "llama-3.1-8b");
  EXPECT_EQ(load_model("meta-llama/Llama-3.1-8B-Instruct", {}).name, "llama-3.1-8b");
  EXPECT_EQ(load_hardware("H100", {}).name, "h100-sxm");
  EXPECT_EQ(load_hardware("a100-80gb", {}).name, "a100-80g");
}

TEST(Catalogue, AMissNamesTheNearest) {
  try {
    load_model("llama-3.1-9b", {});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(), "unknown model \"llama-3.1-9b\"; did you mean \"llama-3.1-8b\"?");
  }
}

TEST(Catalogue, AFileBesideTheConfigWins) {
  const auto folder = std::filesystem::temp_directory_path() / "orrery_catalogue_test";
  std::filesystem::create_directories(folder / "models");
  std::ofstream(folder / "models" / "llama-3.1-8b.json")
      << R"({"name": "llama-3.1-8b", "num_layers": 2, "hidden_size": 64,
    "num_heads": 4, "num_kv_heads": 2, "head_dim": 16, "ffn_size": 128, "gated_ffn": true, "vocab_size": 100,
    "tied_embeddings": true, "max_position": 10, "source": "test"})";
  EXPECT_EQ(load_model("llama-3.1-8b", {folder.string()}).layers, 2);
  EXPECT_EQ(load_model("llama-3.1-8b", {}).layers, 32);
  std::filesystem::remove_all(folder);
}

TEST(Model, ParametersAndKvBytesArePublishedOnes) {
  const ModelShape m = load_model("llama-3.1-8b", {});
  EXPECT_NEAR(static_cast<double>(m.parameters()) * 1e-9, 8.03, 0.005);
  EXPECT_EQ(m.kv_bytes_per_token(), 131072);
  EXPECT_NEAR(static_cast<double>(load_model("opt-13b", {}).parameters()) * 1e-9, 12.84, 0.01);
}

/// Mixtral 8x7B has 46.7 billion parameters, of which a token takes 12.9; as published, but for norms.
TEST(Model, AMixtureOfExpertsHasAllItsWeightsAndUsesSome) {
  const ModelShape m = load_model("mixtral-8x7b", {});
  EXPECT_NEAR(static_cast<double>(m.parameters()) * 1e-9, 46.7, 0.05);
  const std::int64_t unused = m.layers * (m.layer_parameters() - m.active_layer_parameters());
  EXPECT_NEAR(static_cast<double>(m.parameters() - unused) * 1e-9, 12.9, 0.05);
  EXPECT_EQ(load_model("llama-2-7b", {}).active_layer_parameters(), load_model("llama-2-7b", {}).layer_parameters());
}

TEST(Model, WhatIsNotModelledIsRefused) {
  const auto error = [](const char* name) {
    try {
      load_model(name, {});
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error("deepseek-v3"), "model \"deepseek-v3\": latent attention: not available in this version");
}

TEST(KvCapacity, TermsAddUpToTheMemory) {
  const KvCapacity kv =
      kv_capacity(load_model("llama-3.1-8b", {}), load_hardware("h100-sxm", {}), {}, {.reserved_bytes = 1e9});
  EXPECT_EQ(kv.kv_bytes + kv.weight_bytes + kv.activation_bytes + kv.reserved_bytes, kv.usable_bytes);
  EXPECT_EQ(kv.blocks, kv.kv_bytes / (16 * 131072));
  // vLLM reports 27,431 blocks for this model on an H100 at 0.9 (from memory of a public log, unverified).
  EXPECT_NEAR(static_cast<double>(kv.blocks), 27431, 0.03 * 27431);
}

TEST(KvCapacity, SaysWhatIsNeededAndWhatIsThere) {
  try {
    kv_capacity(load_model("llama-3.1-70b", {}), load_hardware("h100-sxm", {}), {}, {});
    FAIL();
  } catch (const ConfigError& e) {
    const std::string text = e.what();
    EXPECT_EQ(text.find("model \"llama-3.1-70b\" does not fit on h100-sxm with tp 1, pp 1: a device needs 14"), 0u)
        << text;
    EXPECT_NE(text.find("available 76439680450 bytes (76.4 GB)"), std::string::npos) << text;
  }
  EXPECT_GT(kv_capacity(load_model("llama-3.1-70b", {}), load_hardware("h100-sxm", {}), {4, 1}, {}).blocks, 0);
}

TEST(Deploy, ReportsAllUnknownNamesAtOnce) {
  try {
    deploy({.model = "lama", .hardware = "h2000", .engine = "vllm-0.25"});
    FAIL();
  } catch (const ConfigError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("unknown model \"lama\""), std::string::npos) << text;
    EXPECT_NE(text.find("unknown hardware \"h2000\""), std::string::npos) << text;
    EXPECT_NE(text.find("unknown engine preset \"vllm-0.25\""), std::string::npos) << text;
  }
}

TEST(Deploy, GivesCostCapacityPriceAndWhereTheyComeFrom) {
  const Deployment d = deploy({.model = "llama-3.1-8b", .hardware = "h200-sxm", .parallel = {2, 1}});
  EXPECT_DOUBLE_EQ(d.usd_per_hour, 7.0);
  EXPECT_GT(d.kv.blocks, 50'000);
  EXPECT_EQ(d.provenance.size(), 5u);
  EXPECT_THROW(deploy({.model = "llama-3.1-8b", .hardware = "h200-sxm", .dtype = "fp8"}), ConfigError);
}

TEST(Quote, OneOperatorWithItsInterval) {
  const Hardware h = load_hardware("h200-sxm", {});
  const OperatorQuote q = quote(h, "gemm", {{"m", 4096}, {"n", 4096}, {"k", 4096}});
  EXPECT_GT(q.flops_per_s, 600e12);
  EXPECT_LT(q.flops_per_s, 850e12);
  EXPECT_LT(q.low_seconds, q.seconds);
  EXPECT_GT(q.high_seconds, q.seconds);
  EXPECT_TRUE(q.in_range);
  EXPECT_FALSE(quote(h, "gemm", {{"m", 1}, {"n", 64}, {"k", 64}}).in_range);
  EXPECT_THROW(quote(h, "gemm", {{"m", 1}}), ConfigError);
  EXPECT_THROW(quote(h, "gem", {}), ConfigError);
}

/// Single rows of the table that was fitted (aiconfigurator@095f58a51c4c, vLLM 0.24.0, 32/8 heads of 128), as a check
/// of units and of the baked residual.
TEST(Quote, AgreesWithPublishedAnchors) {
  const Hardware h = load_hardware("h200-sxm", {});
  const auto decode = [&](double batch, double context) {
    return quote(h, "decode",
                 {{"batch", batch}, {"context", context}, {"heads", 32}, {"kv_heads", 8}, {"head_dim", 128}})
               .seconds *
           1e6;
  };
  EXPECT_NEAR(decode(128, 2048), 273.9, 0.12 * 273.9);
  EXPECT_NEAR(decode(32, 4096), 135.5, 0.12 * 135.5);
  EXPECT_NEAR(decode(8, 8192), 83.4, 0.12 * 83.4);
  EXPECT_NEAR(decode(1, 8192), 18.9, 0.15 * 18.9);
}

/// Sum of the operators beside whole-model times of the Splitwise table (Llama-2-70B, software of 2023). The model
/// prices current kernels and no host, so it must be below the measurement; where the device and not the host was the
/// limit (TP 2, one sequence, up to 8k) it must not be far below. At TP 4 and 8 the measured token time no longer falls
/// with more devices: host time, which the sums rightly lack.
TEST(WholeModel, SumsBesideTheSplitwiseTable) {
  const std::string path = data_file("perf/splitwise/perf_model.csv");
  if (path.empty()) GTEST_SKIP() << "perf/splitwise/perf_model.csv is not there (set ORRERY_DATA)";
  const CsvTable t = read_csv(path);
  std::map<std::array<int, 3>, std::array<double, 3>> seen;  // {h100?, tp, prompt} of one sequence -> sums, count
  for (std::size_t i = 0; i < t.rows.size(); ++i) {
    const auto& row = t.rows[i];
    if (row[0] != "llama2-70b" || row[1] == "h100-80gb-pcap" || row[3] != "1" || row[4] != "128") continue;
    auto& s =
        seen[{row[1] == "h100-80gb" ? 1 : 0, static_cast<int>(t.number(i, 10)), static_cast<int>(t.number(i, 2))}];
    s[0] += 1e-3 * t.number(i, 7), s[1] += 1e-3 * t.number(i, 8), s[2] += 1;
  }
  ASSERT_GT(seen.size(), 20u);
  std::map<std::array<int, 2>, std::unique_ptr<OperatorCostModel>> models;
  for (const auto& [key, sums] : seen) {
    const auto [h100, tp, prompt] = key;
    auto& model = models[{h100, tp}];
    HostTerms host;
    if (!model)
      model = std::make_unique<OperatorCostModel>(load_model("llama-2-70b", {}),
                                                  load_hardware(h100 ? "h100" : "a100", {}), Parallel{tp, 1}, host);
    StepShape p, d;
    const std::vector<ChunkShape> chunk{{0_tok, Tokens{prompt}}};
    p.prefill = Tokens{prompt}, p.prefill_pairs = std::int64_t{prompt} * prompt / 2, p.sequences = p.outputs = 1,
    p.chunks = chunk;
    d.decodes = 1_tok, d.decode_context = Tokens{prompt + 64}, d.sequences = d.outputs = 1;
    const double prompt_ratio = to_seconds(model->price({&p, 1}, 0).first) / (sums[0] / sums[2]);
    const double token_ratio = to_seconds(model->price({&d, 1}, 0).first) / (sums[1] / sums[2]);
    std::printf("%s tp%d prompt %5d: model / measured: prompt %.2f, token %.2f\n", h100 ? "h100" : "a100", tp, prompt,
                prompt_ratio, token_ratio);
    EXPECT_LT(prompt_ratio, 1);
    EXPECT_LT(token_ratio, 1);
    if (tp != 2) continue;
    EXPECT_GT(prompt_ratio, h100 ? 0.58 : 0.75);   // seen: 0.62 to 0.71; 0.78 to 0.85
    EXPECT_GT(token_ratio, h100 ? 0.70 : 0.85);    // seen: 0.73 to 0.75; 0.88 to 0.91
  }
}

/// Sum of a layer's four GEMMs beside Vidur's profile of 2024 (Llama-2-70B, TP 1 to 8, 1,024 to 4,096 tokens): ours are
/// the faster ones, by 15 % on the H100 and 18 % on the A100 as seen.
TEST(WholeModel, GemmSumsBesideVidurProfiles) {
  for (const char* gpu : {"h100", "a100"}) {
    const std::string path = data_file(std::string("perf/vidur/") + gpu + "_llama2-70b_mlp.csv");
    if (path.empty()) GTEST_SKIP() << "perf/vidur/" << gpu << "_llama2-70b_mlp.csv is not there (set ORRERY_DATA)";
    const Hardware h = load_hardware(gpu, {});
    const CsvTable t = read_csv(path);
    double sum = 0;
    int rows = 0;
    for (std::size_t i = 0; i < t.rows.size(); ++i) {
      const double m = t.number(i, t.column("num_tokens")), tp = t.number(i, t.column("num_tensor_parallel_workers"));
      if (m < 1024) continue;
      double measured = 0;
      for (const char* name : {"attn_pre_proj_ms", "attn_post_proj_ms", "mlp_up_proj_ms", "mlp_down_proj_ms"})
        measured += t.number(i, t.column(name));
      const double ours = h.gemm.seconds({m, 10240 / tp, 8192}) + h.gemm.seconds({m, 8192, 8192 / tp}) +
                          h.gemm.seconds({m, 57344 / tp, 8192}) + h.gemm.seconds({m, 8192, 28672 / tp});
      sum += 1e3 * ours / measured, ++rows;
    }
    std::printf("%s: %d rows, model / measured %.3f\n", gpu, rows, sum / rows);
    EXPECT_GT(sum / rows, 0.75);
    EXPECT_LT(sum / rows, 1.0);
  }
}

/// Decode steps of a current vLLM on one or two H100 (median inter-token latency, ml-energy/leaderboard@0cd52dab897c):
/// Qwen3 models, mean context taken as 250 + 0.55 of the mean output. The preset's two host terms were fitted to these
/// points; the kernels' share (80 to 93 %) was not.
TEST(WholeModel, DecodeStepsBesideServedModels) {
  const std::string path = data_file("power/ml_energy_gpqa.csv");
  if (path.empty()) GTEST_SKIP() << "power/ml_energy_gpqa.csv is not there (set ORRERY_DATA)";
  const std::map<std::string, std::string> names{
      {"Qwen/Qwen3-8B", "qwen3-8b"}, {"Qwen/Qwen3-14B", "qwen3-14b"}, {"Qwen/Qwen3-32B", "qwen3-32b"}};
  const CsvTable t = read_csv(path);
  const std::size_t model = t.column("model_id"), gpu = t.column("gpu_model"), tp = t.column("tensor_parallel"),
                    batch = t.column("avg_batch_size"), length = t.column("avg_output_len"),
                    itl = t.column("median_itl_ms"), power = t.column("avg_power_watts");
  double error = 0, watt_error = 0;
  int points = 0;
  for (std::size_t i = 0; i < t.rows.size(); ++i) {
    const auto known = names.find(t.text(i, model));
    if (known == names.end() || t.text(i, gpu) != "H100") continue;
    const Deployment d =
        deploy({.model = known->second, .hardware = "h100", .parallel = {static_cast<int>(t.number(i, tp)), 1}});
    StepShape s;
    s.decodes = Tokens{static_cast<std::int64_t>(t.number(i, batch) + 0.5)};
    s.sequences = s.outputs = static_cast<std::int32_t>(s.decodes.value());
    s.decode_context = Tokens{static_cast<std::int64_t>(t.number(i, batch) * (250 + 0.55 * t.number(i, length)))};
    const StepRun run = d.cost->price({&s, 1}, 0);
    const double ratio = to_seconds(run.first) * 1e3 / t.number(i, itl);
    const double watts = static_cast<double>(run.e_first.value()) * 1e-9 / to_seconds(run.first) / t.number(i, power);
    std::printf("%s tp%.0f batch %.0f: model / measured: step %.3f, power %.2f\n", known->second.c_str(),
                t.number(i, tp), t.number(i, batch), ratio, watts);
    EXPECT_NEAR(ratio, 1, 0.12);
    error += std::abs(ratio - 1), watt_error += std::abs(watts - 1), ++points;
  }
  ASSERT_EQ(points, 13);
  std::printf("mean error: step %.1f %%, power %.1f %%\n", 100 * error / points, 100 * watt_error / points);
  EXPECT_LT(error / points, 0.05);
  EXPECT_LT(watt_error / points, 0.15);
}

}  // namespace
}  // namespace orrery
