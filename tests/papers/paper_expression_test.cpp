#include "experiments/paper_expression.hpp"

#include <gtest/gtest.h>

#include <map>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

/// Values by "config pointer"; a search answers with the largest of 1, 2, 3, ... that holds, up to 100.
class Table final : public PaperRuns {
 public:
  std::map<std::string, double> values;
  double value(const std::string& config, const std::vector<std::string>& sets, const std::string& pointer) override {
    std::string key = config;
    for (const std::string& s : sets) {
      if (s.rfind("rate=", 0) == 0 && pointer == "/latency") return std::stod(s.substr(5)) / 8;
      key += "[" + s + "]";
    }
    return values.at(key + " " + pointer);
  }
  double max_count(const std::string&, const std::vector<std::string>&,
                   const std::function<bool(const std::vector<std::string>&)>& holds) override {
    int count = 0;
    while (count < 100 && holds({"rate=" + std::to_string(count + 1)})) ++count;
    return 1000 + count;
  }
  double max_rate(const std::string&, const std::vector<std::string>&,
                  const std::function<bool(const std::vector<std::string>&)>& holds) override {
    int rate = 0;
    while (rate < 100 && holds({"rate=" + std::to_string(rate + 1)})) ++rate;
    return rate;
  }
};

double value_of(const std::string& text, Table table = {}) {
  return PaperExpression::parse(text, {"orca", "vllm-v1"}).evaluate(table);
}

std::string error_of(const std::string& text) {
  try {
    PaperExpression::parse(text, {"orca", "vllm-v1"});
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

TEST(PaperExpression, Arithmetic) {
  EXPECT_EQ(value_of("1 + 2 * 3"), 7);
  EXPECT_EQ(value_of("(1 + 2) * 3"), 9);
  EXPECT_EQ(value_of("8 / 4 / 2"), 1);
  EXPECT_EQ(value_of("10 - 4 - 3"), 3);
  EXPECT_EQ(value_of("-2 + 5"), 3);
  EXPECT_EQ(value_of("1.5e2"), 150);
  EXPECT_EQ(value_of("min(3, 1 + 1, 4)"), 2);
  EXPECT_EQ(value_of("max(3, min(9, 5))"), 5);
}

TEST(PaperExpression, ValuesOfRuns) {
  Table t;
  t.values = {{"orca /batch/mean_running", 6}, {"vllm-v1 /batch/mean_running", 3}, {"orca[/a=1][/b=x] /c", 4}};
  EXPECT_EQ(value_of("orca:/batch/mean_running / vllm-v1:/batch/mean_running", t), 2);
  EXPECT_EQ(value_of("max(orca:/batch/mean_running, 1)", t), 6);
  EXPECT_EQ(value_of("orca[/a=1;/b=x]:/c", t), 4);
}

TEST(PaperExpression, SearchesForTheLargestRate) {
  EXPECT_EQ(value_of("max_rate(orca, /latency <= 0.625)"), 5);
  EXPECT_EQ(value_of("max_rate(orca, /latency <= 0.625, /latency <= 2 * 0.1875)"), 3);
  EXPECT_EQ(value_of("max_rate(orca, /latency <= 0.625, /latency >= 0.1)"), 5);
  EXPECT_EQ(value_of("max_rate(orca, /latency >= 0.25)"), 0);   // one does not hold
  EXPECT_TRUE(PaperExpression::parse("max_rate(orca, /x <= 1)", {"orca"}).searches());
  EXPECT_EQ(value_of("max_count(orca, /latency <= 0.625)"), 1005);
  EXPECT_TRUE(PaperExpression::parse("max_count(orca, /x <= 1)", {"orca"}).counts());
  EXPECT_FALSE(PaperExpression::parse("max_count(orca, /x <= 1)", {"orca"}).searches());
  EXPECT_FALSE(PaperExpression::parse("orca:/x", {"orca"}).searches());
}

TEST(PaperExpression, ErrorsSayWhere) {
  EXPECT_EQ(error_of(""), "column 1: expected a number, a config or a function");
  EXPECT_EQ(error_of("1 +"), "column 4: expected a number, a config or a function");
  EXPECT_EQ(error_of("1 2"), "column 3: expected an operator or the end");
  EXPECT_EQ(error_of("(1"), "column 3: expected \")\"");
  EXPECT_EQ(error_of("orka:/x"), "column 1: unknown config \"orka\"; did you mean \"orca\"?");
  EXPECT_EQ(error_of("1 + orca"), "column 9: expected \":\"");
  EXPECT_EQ(error_of("orca:x"), "column 6: expected a JSON pointer into the summary, like /ttft_s/p99");
  EXPECT_EQ(error_of("orca[/a=1:/x"), "column 6: expected \"]\" behind the keys that are set");
  EXPECT_EQ(error_of("orca[a=1]:/x"), "column 6: expected /json/pointer=VALUE in the brackets");
  EXPECT_EQ(error_of("maxx(1)"), "column 1: unknown function \"maxx\"; did you mean \"max\"?");
  EXPECT_EQ(error_of("max_rate(orca, /x > 1)"), "column 19: expected \"<=\" or \">=\"");
}

}  // namespace
}  // namespace orrery
