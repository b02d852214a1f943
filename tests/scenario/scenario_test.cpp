/// Every scenario of tests/scenario/*.txt, on the twin: the text says what must happen and when.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "tests/twin/scenario.hpp"

namespace orrery {
namespace {

std::vector<Scenario> all_scenarios() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(ORRERY_SOURCE_DIR "/tests/scenario"))
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
