/// Every scenario of tests/scenario/*.txt, on the twin and on the fast engine: the text says what must happen and when.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "tests/source_dir.hpp"
#include "tests/twin/engine_run.hpp"
#include "tests/twin/scenario.hpp"

namespace orrery {
namespace {

std::vector<Scenario> all_scenarios() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir("/tests/scenario")))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Scenario> all;
  for (const auto& file : files)
    for (Scenario& s : read_scenarios(file.string())) all.push_back(std::move(s));
  return all;
}

class ScenarioTest : public testing::TestWithParam<Scenario> {};

TEST_P(ScenarioTest, HappensOnTheTwinAsWritten) {
  ASSERT_FALSE(GetParam().expectations.empty());
  EXPECT_EQ(failures(GetParam(), run_twin(GetParam())), "");
}

TEST_P(ScenarioTest, HappensOnTheEngineAsWritten) {
  const TwinResult twin = run_twin(GetParam());
  for (const bool fast_forward : {true, false}) {
    const EngineResult engine = run_engine(GetParam(), {.fast_forward = fast_forward, .verify = fast_forward});
    EXPECT_EQ(failures(GetParam(), engine.as_twin), "");
    EXPECT_EQ(difference(twin, engine.as_twin), "");
  }
}

TEST(ScenarioText, NamesTheLineOfAnError) {
  try {
    parse_scenarios("engine batching=orca cost: 1ms\nt=0ms a prompt=ten out=1\n", "x.txt");
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "x.txt:2: expected a whole number, got ten");
  }
}

TEST(ScenarioText, AFailedExpectationIsToldWithItsPlace) {
  const std::string text = "engine batching=orca kv_blocks=9 cost: 1ms\n"
                           "t=0ms a prompt=9 out=1\n"
                           "expect a.first=2ms a.status=done\n";
  const Scenario s = parse_scenarios(text, "x.txt").at(0);
  EXPECT_EQ(failures(s, run_twin(s)), "x.txt:3: a.first is 1ms, expected 2ms\n");
}

std::string test_name(const testing::TestParamInfo<Scenario>& info) {
  std::string name;
  bool upper = true;
  for (char c : info.param.title.substr(0, info.param.title.find(':'))) {
    if (std::isalnum(static_cast<unsigned char>(c))) name += upper ? static_cast<char>(std::toupper(c)) : c;
    upper = !std::isalnum(static_cast<unsigned char>(c));
  }
  return name + "_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Text, ScenarioTest, testing::ValuesIn(all_scenarios()), test_name);

}  // namespace
}  // namespace orrery
