/// Every cluster scenario of tests/scenario/cluster/*.txt, fast-forwarded and stepped: the text says who decides what
/// and when.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <stdexcept>

#include "tests/cluster/cluster_scenario.hpp"
#include "tests/source_dir.hpp"

namespace orrery {
namespace {

std::vector<ClusterScenario> all_scenarios() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir("/tests/scenario/cluster")))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<ClusterScenario> all;
  for (const auto& file : files)
    for (ClusterScenario& s : read_cluster_scenarios(file.string())) all.push_back(std::move(s));
  return all;
}

class ClusterScenarioTest : public testing::TestWithParam<ClusterScenario> {};

TEST_P(ClusterScenarioTest, HappensAsWritten) {
  ASSERT_FALSE(GetParam().expect.empty() && GetParam().does.empty());
  EXPECT_EQ(failures(GetParam()), "");
}

std::string test_name(const testing::TestParamInfo<ClusterScenario>& info) {
  std::string name;
  bool upper = true;
  for (const char c : info.param.title.substr(0, info.param.title.find(':'))) {
    const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (letter) name += upper ? static_cast<char>(std::toupper(c)) : c;
    upper = !letter;
  }
  return name + "_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Text, ClusterScenarioTest, testing::ValuesIn(all_scenarios()), test_name);

constexpr const char* kPlain = "engine batching=sarathi stations=1 kv_blocks=9 block=16 cost: 10ms\npool main\n"
                               "t=0ms a prompt=10 out=2\n";

TEST(ClusterScenarioText, NamesTheLineOfAnError) {
  const auto error_of = [](const std::string& line) -> std::string {
    try {
      failures(parse_cluster_scenarios(kPlain + line + "\n", "x.txt").at(0));
    } catch (const std::invalid_argument& e) { return e.what(); }
    return "";
  };
  EXPECT_EQ(error_of("policy splitwize"), "x.txt:4: no cluster policy named splitwize");
  EXPECT_EQ(error_of("policy splitwise tokens=1"), "x.txt:4: no policy has the parameter tokens");
  EXPECT_EQ(error_of("link main token"), "x.txt:4: there is no pool token");
  EXPECT_EQ(error_of("pool two counts=1"), "x.txt:4: unknown key counts");
  EXPECT_EQ(error_of("event 1s fall"), "x.txt:4: no event is called fall");
  EXPECT_EQ(error_of("capacity 1s add n1"), "x.txt:4: there is no node n1");
}

TEST(ClusterScenarioText, WhatDoesNotHappenIsToldWithItsPlace) {
  const std::string text = std::string(kPlain) + "expect a.finish=30ms a.station=0\ndoes 0s policy place main.0 a\n"
                           "does 5ms engine copy main.0\nnever policy place\n";
  EXPECT_EQ(failures(parse_cluster_scenarios(text, "x.txt").at(0)),
            "x.txt:4: a.finish is 20ms, expected 30ms\n"
            "x.txt:6: does not happen, or not after the line before: 5ms engine copy main.0\n"
            "x.txt:7: happens: 0s policy place main.0 a 0\n"
            "  0s policy place main.0 a 0\n");
}

}  // namespace
}  // namespace orrery
