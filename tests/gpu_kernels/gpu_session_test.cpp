/// The cases of the GPU session in small, on the emulator: every kernel takes the arguments that it is measured with.
#include "kernels/gpu_session/session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace orrery::gpu_emulated {
namespace {

TEST(GpuSession, EveryCaseRunsInSmall) {
  Session session(Size::kSmall);
  measure(session);
  EXPECT_THAT(session.errors(), testing::IsEmpty());
  std::set<std::string> names;
  for (const Result& r : session.results()) names.insert(r.name);
  for (const char* name : {"copy, own kernel",
                           "rmsnorm with residual",
                           "swiglu",
                           "rope with append",
                           "fp8 append",
                           "kivi append 2 bit",
                           "sampling top-k 50 top-p 0.9",
                           "seeded weights",
                           "gemv",
                           "flat product",
                           "grouped product, balanced",
                           "grouped product, zipf 1.2", "grouped product, warpgroups",
                           "decode",
                           "decode, unified maximum",
                           "decode, contiguous",
                           "decode fp8",
                           "decode kivi 4 bit",
                           "decode kivi 2 bit",
                           "prefill",
                           "prefill, warpgroups", "mixed",
                           "tree of 5",
                           "map a page group"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

std::string contents(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Whoever is stopped has left what was measured before.
TEST(GpuSession, TheFileHasWhatIsMeasuredAtAnyTime) {
  const std::string path = testing::TempDir() + "gpu-session-" + std::to_string(::getpid()) + ".json";
  Session session(Size::kSmall);
  session.keep_in(path);
  EXPECT_THAT(contents(path), testing::HasSubstr("\"results\": [\n]"));
  session.add({.name = "a", .shape = "b"});
  EXPECT_EQ(contents(path), session.json());
  session.group("one", [&] {
    session.add({.name = "c", .shape = "d"});
    throw std::runtime_error("broken");
  });
  EXPECT_EQ(contents(path), session.json());
  EXPECT_THAT(contents(path), testing::AllOf(testing::HasSubstr("\"c\""), testing::HasSubstr("one: broken")));
  EXPECT_FALSE(session.lost());
  std::filesystem::remove(path);
  EXPECT_THROW(session.keep_in("/nowhere/at/all.json"), std::runtime_error);
}

/// A group at a time, each behind copies of its own, which it is compared with.
TEST(GpuSession, GroupsAreMeasuredAlone) {
  Session session(Size::kSmall);
  measure(session, {"tree"});
  std::set<std::string> names;
  for (const Result& r : session.results()) names.insert(r.name);
  EXPECT_THAT(names, testing::AllOf(testing::Contains("tree of 5"), testing::Contains("copy, own kernel")));
  EXPECT_FALSE(names.contains("rmsnorm with residual"));
  EXPECT_THROW(measure(session, {"trees"}), std::invalid_argument);
}

TEST(GpuSession, KeepsWhatFailsAndGoesOn) {
  Session session(Size::kSmall);
  session.group("one", [] { throw std::runtime_error("it \"broke\""); });
  session.group("two", [&] { session.add({.name = "a", .shape = "b"}); });
  EXPECT_THAT(session.json(), testing::HasSubstr("\"errors\": [\"one: it \\\"broke\\\"\"]"));
  EXPECT_THAT(session.json(),
              testing::HasSubstr("{\"name\": \"a\", \"shape\": \"b\", \"seconds\": 0, \"spread_seconds\": 0}"));
}

}  // namespace
}  // namespace orrery::gpu_emulated
