#include "policies/register.hpp"

#include <gtest/gtest.h>

#include <set>

namespace orrery {
namespace {

/// Lists parameters; leaves every default as it is.
struct Lister final : Describer {
  using Describer::field;
  std::vector<std::string> names;
  std::vector<std::string> problems;
  void note(std::string_view name, std::string_view help, double value, Range range = {}) {
    names.emplace_back(name);
    if (help.size() < 5) problems.push_back(std::string(name) + " has no help");
    if (value < range.min || value > range.max) problems.push_back(std::string(name) + ": the default is out of range");
  }
  void field(std::string_view n, std::int64_t& v, Range r, std::string_view h, std::string_view) override {
    note(n, h, static_cast<double>(v), r);
  }
  void field(std::string_view n, double& v, Range r, std::string_view h, std::string_view) override {
    note(n, h, v, r);
  }
  void field(std::string_view n, bool&, std::string_view h) override { note(n, h, 0); }
  void field(std::string_view n, std::string&, std::string_view h) override { note(n, h, 0); }
  void field(std::string_view n, std::vector<double>&, Range, std::string_view h) override { note(n, h, 0); }
  void duration(std::string_view n, Duration& v, Range r, std::string_view h) override { note(n, h, to_seconds(v), r); }
  void enumeration(std::string_view n, int&, const std::vector<EnumName>& e, std::string_view h) override {
    note(n, h, 0);
    if (e.size() < 2) problems.push_back(std::string(n) + " has no choice");
  }
};

template <class Interface>
void check_family(const Registry& registry, std::set<std::string> expected) {
  std::set<std::string> names, all;
  for (const auto& e : registry.entries<Interface>()) {
    names.insert(e.name);
    EXPECT_TRUE(all.insert(e.name).second) << e.name << " is taken twice";
    for (const auto& alias : e.aliases) EXPECT_TRUE(all.insert(alias).second) << alias << " is taken twice";
    EXPECT_FALSE(e.system.empty()) << e.name;
    Lister lister;
    EXPECT_NE(e.make(lister), nullptr);
    EXPECT_EQ(lister.problems, std::vector<std::string>{}) << e.name;
    EXPECT_EQ(std::set<std::string>(lister.names.begin(), lister.names.end()).size(), lister.names.size()) << e.name;
  }
  EXPECT_EQ(names, expected);
}

Registry all() {
  Registry r;
  register_policies(r);
  return r;
}

TEST(Register, HoldsEveryPolicyOnce) {
  check_family<Batcher>(all(), {"static", "orca", "vllm", "vllm-v1", "tgi", "tensorrt-llm", "fastgen", "sarathi",
                                "sglang", "sequence-scheduling", "s3", "andes", "round-robin"});
  check_family<AdmissionPolicy>(all(), {"none", "queue-limit", "rpm"});
  check_family<KvPolicy>(all(), {"paged", "contiguous"});
  check_family<ScalingRule>(all(), {"target", "schedule", "threshold"});
  check_family<QueueOrder>(all(), {"fcfs", "priority", "sjf", "srpt", "edf", "mlfq", "lpm", "tetriinfer", "vtc"});
  check_family<LengthPredictor>(all(), {"none", "oracle", "bucket", "gaussian"});
  check_family<Router>(all(), {"round-robin", "random", "least-loaded", "least-tokens", "power-of-two",
                               "session-sticky", "prefix-aware"});
  check_family<PowerPolicy>(all(), {"polca", "one-threshold-low", "one-threshold-all", "no-cap"});
}

TEST(Register, FindsByAlias) {
  const Registry r = all();
  EXPECT_EQ(r.find<Batcher>("vllm_v1")->name, "vllm-v1");
  EXPECT_EQ(r.find<Batcher>("sarathi-serve")->name, "sarathi");
  EXPECT_EQ(r.find<Batcher>("trtllm")->name, "tensorrt-llm");
  EXPECT_EQ(r.find<Router>("least_loaded")->name, "least-loaded");
  EXPECT_EQ(r.find<Batcher>("no-such"), nullptr);
}

TEST(Register, UsualKvIsNamedBySystem) {
  EXPECT_EQ(usual_kv("vllm"), R"("paged")");
  EXPECT_EQ(usual_kv("orca"), R"({"name": "contiguous", "reserve": "max-new"})");
  EXPECT_EQ(usual_kv("some plug-in"), R"("paged")");
}

}  // namespace
}  // namespace orrery
