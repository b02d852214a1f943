/// `orrery run --executor cpu`: the same config, policies and results, with steps that a real engine runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "calibrate/live/cuda_device.hpp"
#include "experiments/assembly.hpp"
#include "experiments/cli/cli.hpp"
#include "experiments/summary.hpp"
#include "tests/source_dir.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

const std::string kExample = source_dir("/experiments/examples/engine-cpu.json");

struct Answer {
  int code;
  std::string out, err;
};
Answer run(std::vector<std::string> more) {
  std::vector<std::string> all{"run", kExample, "--executor", "cpu", "--set", "/workload/requests=12"};
  all.insert(all.end(), more.begin(), more.end());
  std::ostringstream out, err;
  const int code = run_cli(all, out, err);
  return {code, out.str(), err.str()};
}

TEST(RunOnTheCpu, ServesTheWorkloadAndSaysWhoAndWhichClock) {
  const Answer a = run({"--json", "--set", "/cluster/replicas=2"});
  ASSERT_EQ(a.code, 0) << a.err;
  const Value s = parse_json(a.out, "summary");
  EXPECT_EQ(find_path(s, "requests.completed")->as_int(), 12);
  EXPECT_EQ(find_path(s, "deployment.executor")->as_string(), "cpu");
  EXPECT_EQ(find_path(s, "deployment.clock")->as_string(), "CPU time of the engine's thread");
  EXPECT_EQ(find_path(s, "deployment.dtype")->as_string(), "fp32");
  EXPECT_EQ(find_path(s, "trust.grade")->as_string(), "measured");
  EXPECT_GT(find_path(s, "ttft_s.p50")->as_double(), 0);
  EXPECT_GT(find_path(s, "stalls.host_s")->as_double(), 0);
  EXPECT_LT(find_path(s, "stalls.host_s")->as_double(),
            0.2 * find_path(s, "trust.time_by_grade_s.measured")->as_double());
  EXPECT_THAT(a.out, HasSubstr("replicas side by side: they ran in turn on one device"));
}

TEST(RunOnTheCpu, ExpertsAndBf16) {
  for (const char* model : {R"(/model="mixtral-tiny")", R"(/model={"name": "llama-tiny", "dtype": "bf16"})"}) {
    const Answer a = run({"--json", "--set", model, "--set", "/workload/requests=3"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(find_path(parse_json(a.out, "summary"), "requests.completed")->as_int(), 3);
  }
}

/// Weights may fill most of a device's memory: assemblies of one model and seed share the device while one of them
/// lives, whatever their policies and rates.
TEST(RunOnTheCpu, AssembliesThatAreAliveShareADevice) {
  const auto assembled = [](const std::vector<std::string>& sets) {
    return assemble(load_document(kExample, sets), {}, "cpu").deployment.device;
  };
  const auto first = assembled({});
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(assembled({}), first);
  EXPECT_EQ(assembled({"/policy/batching=\"vllm\"", "/workload/requests=3"}), first);
  EXPECT_NE(assembled({"/model=\"mixtral-tiny\""}), first);
  EXPECT_NE(assembled({R"(/model={"name": "llama-tiny", "dtype": "bf16"})"}), first);
}

TEST(RunOnTheCpu, AMeasurementIsNotRunAgain) {
  const std::string folder = (std::filesystem::temp_directory_path() / "orrery-live-result").string();
  std::filesystem::remove_all(folder);
  ASSERT_EQ(run({"--out", folder, "--set", "/workload/requests=2"}).code, 0);
  std::ostringstream out, err;
  EXPECT_EQ(run_cli({"rerun", folder}, out, err), 1);
  EXPECT_EQ(err.str(), "orrery: " + folder + ": measured (executor cpu); a measurement cannot be repeated exactly\n");
  std::filesystem::remove_all(folder);
}

struct Refused {
  std::vector<std::string> sets;
  std::string message;
};
class RefusedOnTheCpu : public testing::TestWithParam<Refused> {};

TEST_P(RefusedOnTheCpu, WithTheReason) {
  std::vector<std::string> arguments;
  for (const std::string& s : GetParam().sets) arguments.insert(arguments.end(), {"--set", s});
  const Answer a = run(arguments);
  EXPECT_EQ(a.code, 1);
  EXPECT_EQ(a.err, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Configs, RefusedOnTheCpu,
    testing::Values(
        Refused{{"/cluster/tp=2", "/cluster/pp=2", "/engine/kv_blocks=0"},
                "orrery: /cluster/tp: a live executor runs a replica on one device (only 1 is possible)\n"
                "orrery: /cluster/pp: a live executor runs a replica on one device (only 1 is possible)\n"
                "orrery: /engine/kv_blocks: a live executor needs the number of KV blocks\n"},
        Refused{{"/policy/batching=static", "/engine/prefix_cache=none"},
                "orrery: /policy/batching: pads its batches; a live executor does not run padding\n"},
        Refused{{R"(/model={"name": "llama-tiny", "dtype": "fp8"})"},
                "orrery: /model/dtype: expected \"fp32\" or \"bf16\" for a live executor, got \"fp8\"\n"},
        Refused{{R"(/model={"name": "llama-tiny", "weights": "none.safetensors"})"},
                "orrery: /model/weights: no such file: \"none.safetensors\"\n"},
        Refused{
            {"/model=deepseek-v3"},
            "orrery: /model: model \"deepseek-v3\": latent attention: not available on a live executor in this version\n"},
        Refused{
            {"/model=llama-3.1-8b"},
            "orrery: /model: model \"llama-3.1-8b\": 8029995008 parameters are too many for the CPU engine (at most "
            "2000000000)\n"},
        Refused{
            {"/engine/prefix_cache=none", "/engine/kv_format=fp8", "/engine/kv_layout=virtual-contiguous",
             "/engine/kernels/attention=fa2"},
            "orrery: /engine/kv_format: a live executor keeps KV in the format of the weights\n"
            "orrery: /engine/kv_layout: \"virtual-contiguous\" is not available on a live executor in this version\n"
            "orrery: /engine/kernels: a live executor runs its own kernels; the choice is the cost model's\n"},
        Refused{{R"(/engine/kv_tiers=[{"name": "dram", "size": "1GB", "bandwidth": "25GB/s"}])"},
                "orrery: /engine/kv_tiers: a live executor keeps cached prefixes on the device only\n"},
        Refused{
            {"/replication/model_error=true"},
            "orrery: /replication/model_error: a live executor measures its steps; there is no cost model to draw\n"}));

/// One line that says why, of the two that there are.
TEST(RunOnAGpu, SaysWhatIsMissing) {
  const std::string missing = cuda_missing();
#if defined(ORRERY_HAS_CUDA)
  if (missing.empty()) GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(missing, "no NVIDIA GPU, or no driver, on this machine");
#else
  EXPECT_EQ(missing, "this program was built without CUDA kernels (cmake --preset cuda, with nvcc, builds them)");
#endif
  std::ostringstream out, err;
  EXPECT_EQ(run_cli({"run", kExample, "--executor", "cuda"}, out, err), 1);
  EXPECT_EQ(err.str(), "orrery: executor cuda: " + missing + "; executor cpu runs here\n");
}

/// The whole chain from the config: what was measured, replayed in the simulator, gives the same decisions and rows.
TEST(RunOnTheCpu, ReplayedMeasurementsDecideTheSame) {
  for (const char* batching :
       {"sarathi", "vllm", "vllm-v1", "orca", "fastgen", "sglang", "tgi", "tensorrt-llm", "s3"}) {
    const bool contiguous = std::string_view(batching) == "orca";   // as published; its KV cannot be shared
    Document d = load_document(kExample, {std::string("/policy/batching=") + batching, "/workload/requests=10",
                                          "/cluster/replicas=2", "/engine/kv_blocks=" + std::string(contiguous ? "512" : "24"),
                                          "/engine/prefix_cache=" + std::string(contiguous ? "none" : "hash")});
    const Assembly a = assemble(std::move(d), {}, "cpu");
    std::vector<StepLog> log;
    Watch watch;
    watch.measured = &log;
    const Replication measured = replicate(a, 1, watch);
    Watch again;
    again.replayed = &log;
    const Replication replay = replicate(a, 1, again);
    EXPECT_EQ(replay.outcome.decisions, measured.outcome.decisions) << batching;
    EXPECT_EQ(replay.outcome.fingerprint, measured.outcome.fingerprint) << batching;
  }
}

}  // namespace
}  // namespace orrery
