/// Records of comparisons with a real engine: kept in the hardware model's file, and true of that file only.
#include "hwmodels/validation.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

ValidationRecord record(const Value& file, const std::string& model = "llama-tiny") {
  return {.date = "2026-11-24", .machine = "AMD EPYC", .backend = "cpu", .model = model, .cost = "steps",
          .subject = subject_of(file),
          .cells = {{"sarathi", 0.5, {{"throughput", 0.4}, {"E2E mean", -3.1}}},
                    {"vllm", 0.8, {{"throughput", -1.2}, {"E2E mean", 2.2}}}}};
}

Value file() {
  return parse_json(R"({"name": "mine", "specs": {"bf16_tflops": 0.1234567890123}, "fit": {"date": "x"}})");
}

TEST(Validation, ARecordIsReadBackAndSaysTheWorstOfAll) {
  Value v = file();
  add_record(v, record(v));
  bool stale = true;
  const auto read = records_from_json(parse_json(to_json(v, 1)), stale);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_FALSE(stale);
  EXPECT_EQ(read[0].text(), "passed 2026-11-24 on AMD EPYC, executor cpu: sarathi, vllm at load 0.5 to 0.8; throughput "
                            "within 1.2 %, E2E mean within 3.1 %");
  EXPECT_EQ(read[0].cells[1].errors[1].second, 2.2);
}

TEST(Validation, OneOfTheSameModelAndCostIsReplacedOthersStay) {
  Value v = file();
  add_record(v, record(v));
  add_record(v, record(v, "other"));
  ValidationRecord again = record(v);
  again.date = "2026-12-01";
  add_record(v, again);
  bool stale = false;
  const auto read = records_from_json(v, stale);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].model, "other");
  EXPECT_EQ(read[1].date, "2026-12-01");
}

TEST(Validation, PartsOfOneValidationComeTogether) {
  Value v = file();
  ValidationRecord first = record(v), second = record(v);
  first.cells = {{"sarathi", 0.5, {{"throughput", 0.4}}}, {"sarathi", 0.8, {{"throughput", 0.6}}}};
  second.cells = {{"vllm", 0.5, {{"throughput", 2.5}}}, {"sarathi", 0.51, {{"throughput", 0.1}}}};   // once more
  add_record(v, first);
  add_record(v, second);
  bool stale = false;
  const auto read = records_from_json(v, stale);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].cells.size(), 3u);
  EXPECT_EQ(read[0].text(), "passed 2026-11-24 on AMD EPYC, executor cpu: vllm, sarathi at load 0.5 to 0.8; throughput "
                            "within 2.5 %");
  second.machine = "another";                                                  // nothing of it can stand for this one
  add_record(v, second);
  EXPECT_EQ(records_from_json(v, stale).at(0).cells.size(), 2u);
}

TEST(Validation, AFileThatChangedHasNoneAndSaysSo) {
  Value v = file();
  add_record(v, record(v));
  v["specs"]["bf16_tflops"] = 0.2;
  bool stale = false;
  EXPECT_TRUE(records_from_json(v, stale).empty());
  EXPECT_TRUE(stale);
  add_record(v, record(v));                     // compared anew: the old one goes
  EXPECT_EQ(records_from_json(v, stale).size(), 1u);
  EXPECT_FALSE(stale);
}

TEST(Validation, NoRecordsNothingStale) {
  bool stale = true;
  EXPECT_TRUE(records_from_json(file(), stale).empty());
  EXPECT_FALSE(stale);
  EXPECT_THROW(records_from_json(parse_json(R"({"validated": [{"date": 1}]})"), stale), ConfigError);
}

}  // namespace
}  // namespace orrery
