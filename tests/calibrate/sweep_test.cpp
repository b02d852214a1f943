/// Sweeps on a device whose laws are known: what is measured once, what a kill loses, what the fits recover.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

#include "calibrate/live/cuda_device.hpp"
#include "calibrate/sweep/calibration.hpp"
#include "calibrate/sweep/scattered_tables.hpp"
#include "hwmodels/operator_model.hpp"

namespace orrery {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

struct Killed {};

const std::vector<double> kGemm{2e-6, 2e-9, 7e-11, 0.4, 0.8, 3, 5e-10, 20e9, 3}, kRows{1e-6, 2e-9, 1e-8, 5e-8},
    kDecode{1e-6, 2e-6, 1e-7, 8e9, 0.001, 2}, kExperts{2e-6, 1e-6, 2e-9, 7e-11, 0.5, 20e9, 3};
constexpr double kTile = 3;

double product(double rows, double n, double k) { return law_seconds(Op::kGemmRows, kGemm, kTile, {rows, n, k}); }

/// Takes exactly as long as its laws say, and may be killed.
class KnownDevice final : public SweepBackend {
 public:
  explicit KnownDevice(const ModelShape& m) : m_(m) {}
  std::string_view name() const override { return "known"; }
  Value machine() const override {
    Value v = Value::object();
    v["processor"] = processor;
    return v;
  }
  double value_bytes() const override { return 4; }
  std::int64_t row_tile() const override { return static_cast<std::int64_t>(kTile); }
  double memory_bytes() const override { return 1e9; }
  double units() const override { return 1; }
  SpeedOfLight probe() override { return {flops, 1e12, 1e6, 1e13}; }
  std::unique_ptr<Trial> prepare(const SweepPoint& p) override {
    if (left-- == 0) throw Killed{};
    ++visits[to_json(to_value(p), -1)];
    if (lost_) throw std::runtime_error("an illegal address before");
    if (p.op == broken_op && p.x[0] == broken_size) {
      lost_ = fatal;
      throw std::runtime_error("an illegal address");
    }
    return std::make_unique<Fixed>(seconds(p));
  }

  std::string processor = "one";
  double flops = 1e12;
  bool usable() override { return !lost_; }
  int left = -1;
  std::map<std::string, int> visits;
  SweepOp broken_op = SweepOp::kGemm;            ///< its points of this size throw,
  double broken_size = -1;
  bool fatal = false;                            ///< and end the device's work

 private:
  class Fixed final : public Trial {
   public:
    explicit Fixed(double s) : s_(s) {}
    double run(std::int64_t n) override { return s_ * static_cast<double>(n); }

   private:
    double s_;
  };

  static double law(Op op, const std::vector<double>& theta, const Shape& x) { return law_seconds(op, theta, 1, x); }
  double per_row() const { return 1e-7; }

  double seconds(const SweepPoint& p) const {
    switch (p.op) {
      case SweepOp::kGemm: return product(p.x[0], p.x[1], p.x[2]);
      case SweepOp::kExperts: return law_seconds(Op::kExperts, kExperts, kTile, p.x);
      case SweepOp::kPrefill: return law(Op::kPrefillRows, kRows, p.x);
      case SweepOp::kDecode:
      case SweepOp::kRagged: return law(Op::kDecode, kDecode, p.x);
      case SweepOp::kNorm:
      case SweepOp::kRope:
      case SweepOp::kActivation:
      case SweepOp::kRoute: return 1e-7 + per_row() * p.x[0];
      case SweepOp::kCopy: return p.x[0] / 5e9;
      case SweepOp::kMap: return p.x[0] * 3e-6;
      case SweepOp::kVariant: return variant(p.x);
      case SweepOp::kMixed: return mixed(p);
      case SweepOp::kStep: break;
    }
    return step(p.batch);
  }

  /// A fifth less than the two apart.
  static double mixed(const SweepPoint& p) {
    const ChunkShape& c = p.batch.chunks.front();
    const Shape chunk{1,     static_cast<double>(c.q.value()), static_cast<double>(c.context.value()), p.x[2], p.x[3],
                      p.x[4]};
    return 0.8 * (law(Op::kPrefillRows, kRows, chunk) + law(Op::kDecode, kDecode, p.x));
  }

  /// The unified maximum takes 0.9 of the time, fp8 1.5 times, KIVI three times where the context is quantised.
  static double variant(Shape x) {
    const auto which = static_cast<DecodeVariant>(static_cast<int>(x[5]));
    x[5] = 0;
    const double t = law(Op::kDecode, kDecode, x);
    if (which == DecodeVariant::kUnifiedMax) return 0.9 * t;
    if (which == DecodeVariant::kFp8) return 1.5 * t;
    return t * (1 + 2 * (1 - 0.75 * static_cast<double>(kSweptResidual) / x[1]));
  }

  /// The sum of its operators, 1.1 times, and 50 us, and 5 us a sequence.
  double step(const StepBatch& b) const {
    const double n = static_cast<double>(b.tokens()), hidden = static_cast<double>(m_.hidden);
    const double heads = static_cast<double>(m_.heads), kv = static_cast<double>(m_.kv_heads),
                 d = static_cast<double>(m_.head_dim);
    const double ffn = static_cast<double>(m_.ffn), experts = static_cast<double>(m_.experts);
    const auto of_experts = [&](double out, double in) {
      return law_seconds(Op::kExperts, kExperts, kTile, {n, out, in, experts, static_cast<double>(m_.top_k)});
    };
    double layer = product(n, (heads + 2 * kv) * d, hidden) + product(n, hidden, heads * d) +
                   (m_.experts > 0 ? 5 : 4) * (1e-7 + per_row() * n);
    if (m_.experts > 0) layer += product(n, experts, hidden) + of_experts(2 * ffn, hidden) + of_experts(hidden, ffn);
    else layer += product(n, 2 * ffn, hidden) + product(n, hidden, ffn);
    double context = 0;
    for (const Tokens t : b.decodes) context += static_cast<double>(t.value());
    const double decodes = static_cast<double>(b.decodes.size());
    if (decodes > 0) layer += law(Op::kDecode, kDecode, {decodes, context / decodes, heads, kv, d});
    for (const ChunkShape& c : b.chunks) {
      layer += law(Op::kPrefillRows, kRows,
                   {1, static_cast<double>(c.q.value()), static_cast<double>(c.context.value()), heads, kv, d});
    }
    const double rows = decodes + static_cast<double>(b.chunks.size());
    return 1.1 * (static_cast<double>(m_.layers) * layer + product(rows, static_cast<double>(m_.vocabulary), hidden)) +
           50e-6 + 5e-6 * rows;
  }

  ModelShape m_;
  bool lost_ = false;
};

class Sweep : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (fs::temp_directory_path() / ("orrery-sweep-" + std::to_string(::getpid()) + "-" +
                                          std::string(testing::UnitTest::GetInstance()->current_test_info()->name())))
                .string();
    fs::remove(path_);
  }
  void TearDown() override { fs::remove(path_); }
  Value header(KnownDevice& d) const { return sweep_header(plan_, model_, options_, d, d.probe()); }
  void run(KnownDevice& d) const {
    Journal journal(path_, header(d), plan_);
    run_sweep(plan_, d, journal, [](std::size_t, std::size_t) {});
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }

  ModelShape model_ = load_model("llama-tiny", {});
  SweepOptions options_{.quick = true};
  SweepPlan plan_ = plan_sweep(model_, options_);
  std::string path_;
};

TEST_F(Sweep, EveryPointIsVisitedSevenTimesAndSentinelsThriceMore) {
  std::map<SweepEntry, int> times;
  std::set<std::size_t> points;
  for (const SweepEntry& e : plan_.order) {
    ++times[e];
    points.insert(e.point);
  }
  for (const auto& [entry, n] : times) EXPECT_EQ(n, 1);
  EXPECT_EQ(points.size(), plan_.points.size());
  EXPECT_EQ(plan_.order.size(), 7 * plan_.points.size() + 3 * plan_.sentinels.size());
  EXPECT_GE(plan_.order.front().visit, kSentinelVisits);
  EXPECT_EQ(plan_.order.back().visit, kSentinelVisits + 2);
  EXPECT_EQ(plan_sweep(model_, options_).hash, plan_.hash);
  EXPECT_NE(plan_sweep(model_, {.quick = true, .seed = 2}).hash, plan_.hash);
}

TEST_F(Sweep, AKillLosesTheLineThatWasWrittenAndNothingElse) {
  KnownDevice first(model_);
  first.left = 300;
  EXPECT_THROW(run(first), Killed);
  EXPECT_EQ(lines().size(), 301u);                                            // header and 300 samples
  const std::string cut = lines()[250].substr(0, 20);
  {
    std::vector<std::string> kept = lines();
    std::ofstream out(path_);
    for (std::size_t i = 0; i < 250; ++i) out << kept[i] << '\n';
    out << cut;                                                               // killed in the middle of a write
  }
  KnownDevice second(model_);
  run(second);
  int measured = 0;
  for (const auto& [point, n] : second.visits) measured += n;
  EXPECT_EQ(measured, static_cast<int>(plan_.order.size()) - 249);
  EXPECT_EQ(lines().size(), plan_.order.size() + 1);
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::size_t i = 1; i < lines().size() && i < 400; ++i) {
    const Value v = parse_json(lines()[i]);
    EXPECT_TRUE(seen.insert({v.at("point").as_int(), v.at("visit").as_int()}).second);
  }
  KnownDevice third(model_);
  run(third);
  EXPECT_TRUE(third.visits.empty());                                          // complete: nothing is measured again
}

TEST_F(Sweep, SamplesOfAnotherSweepOrMachineAreRefused) {
  KnownDevice d(model_);
  d.left = 30;
  EXPECT_THROW(run(d), Killed);
  KnownDevice other(model_);
  other.processor = "two";
  EXPECT_THROW(Journal(path_, header(other), plan_), ConfigError);            // unfinished there
  Value another = header(d);
  another["seed"] = 2;
  EXPECT_THROW(Journal(path_, another, plan_), ConfigError);
  d.left = -1;
  run(d);
  EXPECT_NO_THROW(Journal(path_, header(other), plan_));                      // complete: may be fitted anywhere
  Journal open(path_, header(d), plan_);
  EXPECT_THROW(Journal(path_, header(d), plan_), ConfigError);                // locked
  EXPECT_EQ(open.header().at("machine").at("processor").as_string(), "one");
}

TEST_F(Sweep, ALineThatCannotBeReadIsToldWithItsPlace) {
  KnownDevice d(model_);
  d.left = 3;
  EXPECT_THROW(run(d), Killed);
  std::ofstream(path_, std::ios::app) << "{\"point\": 1, \"visit\": 0, \"s\": -1}\n";
  try {
    Journal(path_, header(d), plan_);
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_THAT(e.what(), HasSubstr(":5: expected a positive time"));
  }
}

TEST_F(Sweep, FitsRecoverWhatTheDeviceIsMadeOf) {
  KnownDevice d(model_);
  run(d);
  const Journal journal(path_, header(d), plan_);
  const Calibration c = fit_sweep(plan_, journal, model_, {"known", "2026-11-24"});
  const Hardware h = hardware_from_json(parse_json(to_json(c.hardware)), {});
  EXPECT_EQ(h.grade, Grade::kMeasured);
  EXPECT_EQ(h.specs.value_bytes, 4);
  EXPECT_EQ(h.gemm.op, Op::kGemmRows);
  for (const double rows : {3.0, 24.0, 65.0}) {
    EXPECT_NEAR(h.gemm.seconds({rows, 1376, 256}) / product(rows, 1376, 256), 1, 0.02) << rows;
  }
  EXPECT_FALSE(h.experts);
  EXPECT_NEAR(
      h.prefill.seconds({1, 100, 50, 8, 2, 32}) / law_seconds(Op::kPrefillRows, kRows, 1, {1, 100, 50, 8, 2, 32}), 1,
      0.03);
  EXPECT_NEAR(h.decode.seconds({12, 200, 8, 2, 32}) / law_seconds(Op::kDecode, kDecode, 1, {12, 200, 8, 2, 32}), 1,
              0.03);
  EXPECT_NEAR(h.step_correction, 1.1, 0.03);
  EXPECT_NEAR(h.host->step_s, 50e-6, 15e-6);
  EXPECT_NEAR(h.host->per_sequence_s, 5e-6, 2e-6);
  EXPECT_NEAR(h.specs.pcie_bytes_per_s, 5e9, 1e6);
  EXPECT_NEAR(h.map_group_s, 3e-6, 1e-9);
  EXPECT_NEAR(h.variants.unified_max, 0.9, 0.03);
  EXPECT_NEAR(h.variants.fp8, 1.5, 0.05);
  EXPECT_NEAR(h.variants.kivi_2, 3, 0.1);
  const VariantCost fp8({.format = {.name = KvFormat::Name::kFp8}}, h);
  EXPECT_NEAR(fp8.decode_seconds({8, 800, 8, 2, 32}) / law_seconds(Op::kDecode, kDecode, 1, {8, 800, 8, 2, 32}), 1.5,
              0.1);
  EXPECT_EQ(fp8.grade(), Grade::kMeasured);
  EXPECT_TRUE(fp8.notes().empty());
  EXPECT_THROW(VariantCost({.kernels = {.gemm = Kernels::Gemm::kFlat}}, h), ConfigError);
  EXPECT_EQ(c.report.drift, 0);
  EXPECT_FALSE(c.report.noisy());
  for (const FitReport::Row& row : c.report.rows) {
    if (row.what.rfind("sum of operators", 0) == 0) { EXPECT_LT(row.mape, 5) << row.what; }
    EXPECT_EQ(row.noise, 0) << row.what;
    if (row.what == "chunk beside decodes, as two") { EXPECT_NEAR(row.mape, 25, 3); }
  }
  // The same samples give the same file.
  EXPECT_EQ(to_json(fit_sweep(plan_, journal, model_, {"known", "2026-11-24"}).hardware), to_json(c.hardware));
}

/// A point that cannot be run is left out, with the reason, and everything else is measured.
TEST_F(Sweep, APointThatThrowsIsLeftOut) {
  KnownDevice d(model_);
  d.broken_op = SweepOp::kPrefill;
  d.broken_size = 1;                                     // nearly all of them: one chunk
  run(d);
  const auto calls = [&] {
    int n = 0;
    for (const auto& [point, times] : d.visits) n += times;
    return n;
  };
  const int first = calls();
  run(d);
  EXPECT_EQ(calls(), first);                             // neither measured nor tried again
  const Journal journal(path_, header(d), plan_);
  EXPECT_GT(journal.failed().size(), 5u);
  EXPECT_EQ(journal.failed().begin()->second, "an illegal address");
  EXPECT_TRUE(journal.samples(journal.failed().begin()->first).empty());
  try {                                                  // too few are left of this operator
    fit_sweep(plan_, journal, model_, {"known", "2026-11-24"});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("points of prefill count, at least 10 are needed"),
                                HasSubstr("could not be run: an illegal address")));
  }
}

TEST_F(Sweep, FitsDoWithoutThePointsThatCouldNotBeRun) {
  KnownDevice d(model_);
  d.broken_op = SweepOp::kGemm;
  d.broken_size = 24;                                    // the model's products of 24 rows
  run(d);
  const Journal journal(path_, header(d), plan_);
  const Calibration c = fit_sweep(plan_, journal, model_, {"known", "2026-11-24"});
  EXPECT_EQ(c.report.rejected.at("could not be run: an illegal address"), static_cast<int>(journal.failed().size()));
  EXPECT_GE(journal.failed().size(), 5u);
  const Hardware h = hardware_from_json(parse_json(to_json(c.hardware)), {});
  EXPECT_NEAR(h.gemm.seconds({24, 1376, 256}) / product(24, 1376, 256), 1, 0.04);
}

/// Where a point has ended the device's work nothing after it would count: the sweep stops, says so, and the next call
/// goes on without it.
TEST_F(Sweep, APointThatEndsTheDevicesWorkIsLeftOutByTheNextCall) {
  int calls = 0;
  for (; calls < 20; ++calls) {
    KnownDevice d(model_);                               // a new process
    d.broken_op = SweepOp::kVariant;
    d.broken_size = 3;
    d.fatal = true;
    try {
      run(d);
      break;
    } catch (const ConfigError& e) {
      EXPECT_THAT(e.what(), AllOf(HasSubstr("decode variant point "), HasSubstr("ended the device's work (an illegal "
                                  "address); called again, the sweep goes on without it")));
    }
  }
  KnownDevice d(model_);
  const Journal journal(path_, header(d), plan_);
  EXPECT_EQ(journal.failed().size(), static_cast<std::size_t>(calls));   // one a call, and none twice
  for (const auto& [point, reason] : journal.failed()) EXPECT_EQ(reason, "an illegal address");
}

/// A mixture of experts: their products beside the dense ones, priced as the engine runs them.
TEST(SweepOfExperts, FitsRecoverTheirProductsAndPriceTheModel) {
  const ModelShape model = load_model("mixtral-tiny", {});
  const SweepOptions options{.quick = false};
  const SweepPlan plan = plan_sweep(model, options);
  const std::string path =
      (fs::temp_directory_path() / ("orrery-sweep-experts-" + std::to_string(::getpid()))).string();
  fs::remove(path);
  KnownDevice d(model);
  Journal journal(path, sweep_header(plan, model, options, d, d.probe()), plan);
  run_sweep(plan, d, journal, [](std::size_t, std::size_t) {});
  const Calibration c = fit_sweep(plan, journal, model, {"known", "2026-11-24"});
  fs::remove(path);
  const Hardware h = hardware_from_json(parse_json(to_json(c.hardware)), {});
  ASSERT_TRUE(h.experts);
  for (const double tokens : {1.0, 5.0, 24.0, 100.0}) {
    const Shape up{tokens, 688, 256, 8, 2}, down{tokens, 256, 344, 8, 2};
    for (const Shape& x : {up, down})
      EXPECT_NEAR(h.experts->seconds(x) / law_seconds(Op::kExperts, kExperts, kTile, x), 1, 0.04) << tokens;
    EXPECT_TRUE(h.experts->in_range(up));
  }
  EXPECT_FALSE(h.experts->in_range({24, 688, 256, 16, 2}));   // another mixture
  std::set<std::string> rows;
  for (const FitReport::Row& row : c.report.rows) {
    rows.insert(row.what);
    if (row.what == "experts" || row.what.rfind("sum of operators", 0) == 0) { EXPECT_LT(row.mape, 5) << row.what; }
  }
  EXPECT_TRUE(rows.contains("experts"));
  const OperatorCostModel cost(model, h, {}, *h.host);
  const auto decodes = [&](std::int64_t n) {
    const StepShape x = StepBatch{{}, std::vector<Tokens>(static_cast<std::size_t>(n), Tokens{64})}.shape();
    return cost.price({&x, 1}, 0);
  };
  const StepRun few = decodes(1), all = decodes(24);
  EXPECT_TRUE(few.in_range && all.in_range);
  // One token reads the weights of its two experts, 24 those of all eight; each is multiplied with two.
  const double expert = 4.0 * 3 * 256 * 344 * 4, kv = 2.0 * 4 * 2 * 32 * 4;   // bytes, of four layers
  const double token = 4.0 * (8 * 256 + 3 * 2 * 344) * 4 + kv + 64 * kv;
  EXPECT_NEAR((static_cast<double>(all.bytes - few.bytes) - 23 * token) / expert, 6, 0.05);
  EXPECT_NEAR(static_cast<double>(all.flops) / static_cast<double>(few.flops), 24, 0.01);
}

/// What nobody has measured experts on says so, and what nobody has measured them over.
TEST(SweepOfExperts, AreRefusedWhereTheyWereNotMeasured) {
  const ModelShape model = load_model("mixtral-8x7b", {});
  const auto error = [&](const Hardware& h, Parallel p) {
    try {
      check_experts(model, h, p);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  Hardware h = load_hardware("h200-sxm", {});
  EXPECT_EQ(error(h, {}), "model \"mixtral-8x7b\": mixture of experts: not available in this version on hardware "
                          "\"h200-sxm\", which has no products of experts (orrery calibrate --model measures them)");
  h.experts = h.gemm;
  EXPECT_EQ(error(h, {.tp = 1, .pp = 4}), "");
  EXPECT_EQ(error(h, {.tp = 2, .pp = 1}),
            "model \"mixtral-8x7b\": mixture of experts: not available in this version with tp above 1");
}

TEST_F(Sweep, PointsFasterThanTheDeviceCanBeAreRejectedAndCounted) {
  KnownDevice d(model_);
  d.flops = 230e9;                                       // its longest prompts reach 250
  run(d);
  const Journal journal(path_, header(d), plan_);
  const Calibration c = fit_sweep(plan_, journal, model_, {"known", "2026-11-24"});
  EXPECT_GT(c.report.rejected.at("faster than the probed arithmetic"), 0);
  EXPECT_GT(c.hardware.at("calibration").at("rejected").at("faster than the probed arithmetic").as_int(), 0);
  EXPECT_THAT(text(c.report), HasSubstr("faster than the probed arithmetic"));
}

TEST(ScatteredTables, HoldEveryPageOnceAndNoneThatIsNotRead) {
  const auto table = scattered_tables({100, 7, 16}, 16, 7);
  std::set<std::int32_t> pages(table.begin(), table.end());
  EXPECT_EQ(table.size(), 21u);
  EXPECT_EQ(pages, (std::set<std::int32_t>{-1, 0, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(std::count(table.begin(), table.end(), -1), 12);
  EXPECT_GE(table[6], 0);
  EXPECT_EQ(table[8], -1);
}

TEST_F(Sweep, BackendsThatAreNotThereSayWhy) {
  const auto error = [&](const char* name) {
    try {
      make_sweep_backend(name, model_, options_);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  if (const std::string missing = cuda_missing(); !missing.empty()) {
    EXPECT_EQ(error("cuda"), "backend cuda: " + missing + "; backend cpu runs here");
  }
  EXPECT_THAT(error("tpu"), HasSubstr("expected cpu or cuda"));
  EXPECT_THROW(make_sweep_backend("cpu", load_model("llama-2-7b", {}), options_), ConfigError);
}

}  // namespace
}  // namespace orrery
