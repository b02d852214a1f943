/// The GPU engine under the policies, its kernels on the emulator: the books are the ledger's at every step, the
/// decisions the simulator's with the same times, and everything happens as on the CPU engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/live/gpu_device.hpp"
#include "calibrate/live/live_step_engine.hpp"
#include "tests/live/engines.hpp"

namespace orrery {
namespace {

LiveModel small_model() {
  LiveModel m;
  m.name = "small";
  m.shape = {.layers = 1, .hidden = 64, .heads = 2, .kv_heads = 1, .head_dim = 64, .ffn = 64, .vocab = 128};
  return m;
}

const LiveDevice& device() {
  static const auto made = gpu::make_gpu_device(small_model(), {});
  return *made;
}

class EmulatedGpu : public testing::TestWithParam<Scenario> {};

/// Chunks, preemption, swapping, shared prefixes: LiveExecutor compares the books with the ledger's at every step.
TEST_P(EmulatedGpu, ServesAsWrittenAtTheScenariosOwnTimes) {
  const LiveRun live(GetParam(), device(), true);
  ASSERT_FALSE(GetParam().expectations.empty());
  EXPECT_EQ(failures(GetParam(), live.result.as_twin), "");
  EXPECT_NE(live.outputs, 0u);
}

INSTANTIATE_TEST_SUITE_P(Policies, EmulatedGpu, testing::ValuesIn(live_scenarios()), [](const auto& s) {
  std::string name = s.param.policies.at("batching") + "_" + std::to_string(s.index);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST(EmulatedGpu, TheSimulatorDecidesTheSameWithTheMeasuredTimes) {
  const Scenario s = live_scenarios().front();
  const LiveRun live(s, device());
  const EngineResult again = replayed(s, live.logs);
  EXPECT_EQ(again.outcome.decisions, live.result.outcome.decisions);
  EXPECT_EQ(again.outcome.fingerprint, live.result.outcome.fingerprint);
  EXPECT_EQ(difference(again.as_twin, live.result.as_twin), "");
}

/// Chunks beside decodes, and decodes alone.
TEST(EmulatedGpu, StepsOfRandomBatchesRunForCalibration) {
  LiveStepEngine engine(device(), {.max_sequences = 4, .max_context = 64});
  EXPECT_GT(engine.run({{{0_tok, 20_tok}}, {30_tok, 7_tok}}), 0);
  EXPECT_GT(engine.run({{}, {30_tok, 7_tok, 64_tok}}), 0);
  EXPECT_EQ(engine.name(), "cuda");
}

TEST(EmulatedGpu, SaysWhatItCannotRun) {
  const auto error = [](LiveModel m, const LiveDeviceOptions& o) {
    try {
      gpu::make_gpu_device(m, o);
    } catch (const ConfigError& e) { return std::string(e.what()); }
    return std::string("no error");
  };
  LiveDeviceOptions fp32;
  fp32.dtype = "fp32";
  EXPECT_EQ(error(small_model(), fp32), "dtype \"fp32\": the CUDA engine has bf16");
  LiveModel m = small_model();
  m.shape.head_dim = 32;
  EXPECT_EQ(error(m, {}), "model \"small\": the CUDA engine: head_dim: the CUDA attention kernels have 64 and 128");
}

}  // namespace
}  // namespace orrery
