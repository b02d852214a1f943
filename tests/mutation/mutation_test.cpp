/// Does the differential test see mistakes? Each seeded mutation of the engine (mutate.cmake) must make it disagree
/// with the twin on what was found before or within the configs of a CI run; without any, they agree.
#include <gtest/gtest.h>

#include "tests/mutation/count.hpp"
#include "tests/differential/fuzz.hpp"
#include "tests/mutation/mutation.hpp"
#include "tests/source_dir.hpp"

namespace orrery {

int g_mutation = 0;

namespace {

constexpr std::uint64_t kSeed = 1, kConfigs = 3200;

class Mutation : public testing::TestWithParam<int> {
 protected:
  ~Mutation() override { g_mutation = 0; }
};

TEST_P(Mutation, IsCaught) {
  for (const Scenario& s : read_scenarios(source_dir("/tests/differential/found.txt"))) {
    g_mutation = GetParam();
    if (!disagreement(s).empty()) return;
  }
  for (std::uint64_t i = 0; i < kConfigs; ++i) {
    g_mutation = 0;
    const Scenario s = random_scenario(kSeed, i);
    g_mutation = GetParam();
    if (disagreement(s).empty()) continue;
    RecordProperty("config", static_cast<int>(i));
    return;
  }
  FAIL() << "mutation " << GetParam() << " of tests/mutation/mutate.cmake agrees with the twin in all configs";
}

INSTANTIATE_TEST_SUITE_P(Seeded, Mutation, testing::Range(1, kMutations + 1));

TEST(Mutations, AreOffUnlessAskedFor) {
  static_assert(kMutations >= 10);
  for (std::uint64_t i = 0; i < 300; ++i) EXPECT_EQ(disagreement(random_scenario(kSeed, i)), "") << i;
}

}  // namespace
}  // namespace orrery
