/// Signal files: columns, units of time, and a message with file:line for every rule.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "sim/config/value.hpp"
#include "sim/signal.hpp"
#include "traces/signal_file.hpp"

namespace orrery {
namespace {

std::string file(const std::string& text) {
  const std::string path = testing::TempDir() + "signal_file_test.csv";
  std::ofstream(path) << text;
  return path;
}

std::string error_of(const std::string& text, const std::string& column = "") {
  try {
    read_signal(file(text), column);
  } catch (const ConfigError& e) {
    const std::string what = e.what();
    return what.substr(what.find("signal_file_test"));
  }
  return "none";
}

TEST(SignalFile, ReadsTheNamedColumnInSeconds) {
  const auto rows = read_signal(file("hour,ES,GB\n0,100,200\n1,110.5,210\n\n3,120,220\n"), "GB");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2].start_s, 10800);
  EXPECT_EQ(rows[2].value, 220);
  EXPECT_EQ(read_signal(file("t_s,usd\n0,1.5\n"), "").at(0).value, 1.5);
}

TEST(SignalFile, NamesFileAndLineOfWhatIsWrong) {
  EXPECT_EQ(error_of(""), "signal_file_test.csv: is empty");
  EXPECT_EQ(error_of("time,x\n"), "signal_file_test.csv:1: expected a header t_s,... or hour,..., got \"time\"");
  EXPECT_EQ(error_of("t_s,x\n"), "signal_file_test.csv: holds no values");
  EXPECT_EQ(error_of("t_s,x\n5,1\n"), "signal_file_test.csv:2: t_s: the first row must be at 0, got \"5,1\"");
  EXPECT_EQ(error_of("t_s,x\n0,1\n60,2\n30,3\n"),
            "signal_file_test.csv:4: t_s: must increase from row to row, got \"30,3\"");
  EXPECT_EQ(error_of("t_s,x\n0,-1\n"), "signal_file_test.csv:2: x: expected a number in [0, 1e9], got \"0,-1\"");
  EXPECT_EQ(error_of("t_s,x\n0\n"), "signal_file_test.csv:2: expected numbers t_s,x, got \"0\"");
  EXPECT_EQ(error_of("t_s,a,b\n0,1,2\n"), "signal_file_test.csv:1: has 2 columns of values; name one as \"column\"");
  EXPECT_EQ(error_of("t_s,apples,b\n0,1,2\n", "aples"),
            "signal_file_test.csv:1: unknown column \"aples\"; did you mean \"apples\"?");
}

TEST(StepSignal, IntegralsAreSumsOfSteps) {
  const StepSignal s({{Time{}, 3}, {Time{} + Duration{10}, 5}, {Time{} + Duration{20}, 0}});
  const auto t = [](std::int64_t ps) { return Time{} + Duration{ps}; };
  EXPECT_EQ(s.at(t(9)), 3);
  EXPECT_EQ(s.at(t(10)), 5);
  EXPECT_EQ(s.next(t(10)), t(20));
  EXPECT_EQ(s.next(t(20)), kNever);
  EXPECT_EQ(static_cast<int>(s.integral(t(4), t(30))), 6 * 3 + 10 * 5);
  EXPECT_EQ(s.times(2).at(t(12)), 10);
}

}  // namespace
}  // namespace orrery
