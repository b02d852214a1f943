/// The cases of the GPU session in small, on the emulator: every kernel takes the arguments that it is measured with.
#include "kernels/gpu_session/session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace orrery::gpu_emulated {
namespace {

TEST(GpuSession, EveryCaseRunsInSmall) {
  Session session(Size::kSmall);
  measure_all(session);
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
