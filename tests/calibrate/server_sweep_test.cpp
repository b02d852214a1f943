/// The sweep of a GPU on a device that is known: operators as fitted for the H200, whole steps a little more than their
/// sum. What comes out prices runs at once, and carries the power that the device reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>

#include "calibrate/sweep/calibration.hpp"
#include "hwmodels/operator_model.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

class KnownServer final : public SweepBackend {
 public:
  explicit KnownServer(const ModelShape& m)
      : m_(m), h_(load_hardware("h200-sxm", {})), host_{.step_s = 400e-6, .per_sequence_s = 2e-6, .elementwise_s = 2e-6,
                                                        .elementwise_bytes_per_s = 3e12, .source = "known"},
        cost_(m_, h_, {}, host_) {}
  std::string_view name() const override { return "cuda"; }
  Value machine() const override {
    Value v = Value::object();
    v["processor"] = "a known device";
    return v;
  }
  double value_bytes() const override { return 2; }
  std::int64_t row_tile() const override { return 1; }
  double memory_bytes() const override { return 141e9; }
  double units() const override { return 132; }
  double drift_limit() const override { return 3; }
  SpeedOfLight probe() override { return {5e15, 2e13, 50e6, 5e13}; }
  std::optional<SweptPower> power() override { return SweptPower{80, 700, 5e-13, 6e-11, "a known device's counter"}; }
  std::unique_ptr<Trial> prepare(const SweepPoint& p) override {
    Rng rng(7, Purpose::kFuzz, ++samples_);
    return std::make_unique<Fixed>(seconds(p) * (1 + 0.02 * (rng.uniform() - 0.5)));
  }

 private:
  class Fixed final : public Trial {
   public:
    explicit Fixed(double s) : s_(s) {}
    double run(std::int64_t n) override { return s_ * static_cast<double>(n); }

   private:
    double s_;
  };

  double mixed(const SweepPoint& p) const {
    const ChunkShape& c = p.batch.chunks.front();
    return h_.prefill.seconds(
               {1, static_cast<double>(c.q.value()), static_cast<double>(c.context.value()), p.x[2], p.x[3], p.x[4]}) +
           h_.decode.seconds(p.x);
  }

  double seconds(const SweepPoint& p) const {
    Shape x = p.x;
    switch (p.op) {
      case SweepOp::kGemm: return h_.gemm.seconds(x);
      case SweepOp::kPrefill: return h_.prefill.seconds(x);
      case SweepOp::kDecode:
      case SweepOp::kRagged: return h_.decode.seconds(x);
      case SweepOp::kNorm:
      case SweepOp::kRope:
      case SweepOp::kActivation: return 2e-6 + 1e-9 * x[0];
      case SweepOp::kCopy: return x[0] / 50e9;
      case SweepOp::kMap: return x[0] * 8e-6;
      case SweepOp::kMixed: return mixed(p);
      case SweepOp::kVariant: x[5] = 0; return 0.6 * h_.decode.seconds(x);
      case SweepOp::kExperts:   // a dense model has none
      case SweepOp::kRoute:
      case SweepOp::kStep: break;
    }
    const StepShape shape = p.batch.shape();
    return 1.04 * to_seconds(cost_.price({&shape, 1}, 0).first);
  }

  ModelShape m_;
  Hardware h_;
  HostTerms host_;
  OperatorCostModel cost_;
  std::uint64_t samples_ = 0;
};

TEST(ServerSweep, FitsAKnownDeviceAndCarriesItsPower) {
  const ModelShape model = load_model("llama-3.1-8b", {});
  const SweepOptions options = sweep_options("cuda", model, false);
  const SweepPlan plan = plan_sweep(model, options);
  const std::string path = (fs::temp_directory_path() / ("orrery-server-sweep-" + std::to_string(::getpid()))).string();
  fs::remove(path);
  KnownServer device(model);
  Journal journal(path, sweep_header(plan, model, options, device, device.probe()), plan);
  run_sweep(plan, device, journal, [](std::size_t, std::size_t) {});
  const Calibration c = fit_sweep(plan, journal, model, {"known", "2026-11-24"});
  fs::remove(path);
  const Hardware h = hardware_from_json(parse_json(to_json(c.hardware)), {});
  EXPECT_EQ(h.grade, Grade::kMeasured);
  EXPECT_FALSE(c.report.noisy());
  EXPECT_EQ(c.report.drift_limit, 3);
  EXPECT_EQ(h.power.idle_w, 80);
  EXPECT_EQ(h.power.active_w, 80);
  EXPECT_EQ(h.power.limit_w, 700);
  EXPECT_EQ(h.power.joules_per_byte, 6e-11);
  EXPECT_EQ(h.power.source, "a known device's counter");
  EXPECT_NEAR(h.specs.pcie_bytes_per_s, 50e9, 1e9);
  EXPECT_NEAR(h.map_group_s, 8e-6, 1e-7);
  ASSERT_EQ(h.whole_steps.size(), 1u);
  EXPECT_EQ(h.whole_steps[0].model, "llama-3.1-8b");
  EXPECT_GT(c.report.rows.size(), 15u);
  for (const FitReport::Row& row : c.report.rows) {
    EXPECT_LT(row.mape, row.what.starts_with("kivi") ? 5 : 3) << row.what;   // a factor on short contexts says less
    if (row.what.starts_with("step law")) { EXPECT_LT(row.p95, 6) << row.what; }
  }
}

}  // namespace
}  // namespace orrery
