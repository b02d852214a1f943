/// Capacity traces: what their rows mean, and one message for each way in which they can be wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/config/value.hpp"
#include "traces/capacity.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

std::string told(const CapacityTrace& t) {
  std::string out;
  for (const CapacityEvent& e : t.events) {
    static constexpr const char* kOps[] = {"add", "notice", "gone"};
    out += std::to_string(to_ps(e.at) / 1'000'000'000'000) + " " + kOps[e.op] + " " +
           t.nodes[static_cast<std::size_t>(e.node)];
    if (e.deadline != kNever) out += " until " + std::to_string(to_ps(e.deadline) / 1'000'000'000'000);
    out += "; ";
  }
  return out;
}

std::string read(const std::string& rows, const CapacityRules& rules = {.grace = 30s, .segment = ""}) {
  return told(capacity_from_text("zone.csv", rows, rules));
}

std::string error_of(const std::string& rows) {
  try {
    read(rows);
  } catch (const ConfigError& e) { return e.what(); }
  return "";
}

TEST(Capacity, NodesGoWhenTheirGraceIsOverWhereNoRowSaysGone) {
  EXPECT_EQ(read("0,add,a b\n100,notice,a\n120,add,c\n"),
            "0 add a; 0 add b; 100 notice a until 130; 120 add c; 130 gone a; ");
}

TEST(Capacity, RowsThatSayGoneAloneSayWhen) {
  EXPECT_EQ(read("0,add,a b\n100,notice,a\n140,gone,a b\n"),
            "0 add a; 0 add b; 100 notice a until 130; 140 gone a; 140 gone b; ");
}

TEST(Capacity, ANodeMayComeBack) {
  EXPECT_EQ(read("0,add,a\n10,gone,a\n20,add,a\n"), "0 add a; 10 gone a; 20 add a; ");
  EXPECT_EQ(read("0,add,a\n10,notice,a\n40,add,a\n"), "0 add a; 10 notice a until 40; 40 gone a; 40 add a; ");
}

/// Those that were there longest are announced, and those that are announced go first.
TEST(Capacity, NodesMayBeCounted) {
  EXPECT_EQ(read("0,add,3\n5,notice,1\n7,gone,2\n9,add,1\n"),
            "0 add node-0; 0 add node-1; 0 add node-2; 5 notice node-0 until 35; 7 gone node-0; 7 gone node-1; 9 add "
            "node-3; ");
  EXPECT_EQ(capacity_from_text("x", "0,add,3\n5,gone,2\n9,add,1\n", {}).most, 3);
}

TEST(Capacity, EachErrorNamesItsLine) {
  EXPECT_EQ(error_of("5,add,a\n4,add,b\n"), "zone.csv:2: t_s: rows must be in order of time, got 4");
  EXPECT_EQ(error_of("0,add,a\n1,sold,a\n"), "zone.csv:2: op: expected add, notice or gone, got \"sold\"");
  EXPECT_EQ(error_of("0,add,a\n1,gone,b\n"), "zone.csv:2: nodes: \"b\" is not there");
  EXPECT_EQ(error_of("0,add,2\n1,gone,3\n"), "zone.csv:2: nodes: 3 cannot go, 2 are there");
  EXPECT_EQ(error_of("0,add,2\n1,notice,3\n"), "zone.csv:2: nodes: 3 cannot go, 2 are there");
  EXPECT_EQ(error_of("0,add,a\n1,add,a\n"), "zone.csv:2: nodes: \"a\" is there already");
  EXPECT_EQ(error_of("0,add,a\n1,notice,a\n2,notice,a\n"), "zone.csv:3: nodes: \"a\" is announced already");
  EXPECT_EQ(error_of("-1,add,a\n"), "zone.csv:1: t_s: expected seconds in [0, 9000000], got \"-1\"");
  EXPECT_EQ(error_of("0,add\n"), "zone.csv:1: expected 3 fields, got 2");
  EXPECT_EQ(error_of("0,add, \n"), "zone.csv:1: nodes: expected names or a number, got \" \"");
  EXPECT_EQ(error_of("0,add,0\n"), "zone.csv:1: nodes: expected a number in [1, 100000], got 0");
  EXPECT_THAT(error_of("x,add,a\ny,add,b\n"), HasSubstr("zone.csv:2: "));   // all of them
}

}  // namespace
}  // namespace orrery
