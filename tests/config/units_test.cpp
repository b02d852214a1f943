/// Quantities with units, and the nearest name.
#include <gtest/gtest.h>

#include "sim/config/names.hpp"
#include "sim/config/reader.hpp"
#include "sim/config/units.hpp"

namespace orrery {
namespace {

template <class F>
std::string error_from(F f) {
  try {
    f();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Quantity, ReadsUnits) {
  EXPECT_EQ(parse_quantity("25GB/s", Dimension::kBytesPerSecond), 25e9);
  EXPECT_EQ(parse_quantity("100 Gbit/s", Dimension::kBytesPerSecond), 12.5e9);
  EXPECT_EQ(parse_quantity("12/s", Dimension::kPerSecond), 12);
  EXPECT_EQ(parse_quantity("90/min", Dimension::kPerSecond), 1.5);
  EXPECT_EQ(parse_quantity("2MB", Dimension::kBytes), 2e6);
  EXPECT_EQ(parse_quantity("2MiB", Dimension::kBytes), 2097152);
  EXPECT_EQ(parse_quantity("1TB", Dimension::kBytes), 1e12);
  EXPECT_EQ(parse_quantity("300kW", Dimension::kWatts), 300e3);
  EXPECT_EQ(parse_quantity("75%", Dimension::kNumber), 0.75);
  EXPECT_EQ(parse_quantity("1.98GHz", Dimension::kHertz), 1.98e9);
  EXPECT_EQ(parse_quantity(" 1e-3 s ", Dimension::kSeconds), 1e-3);
}

TEST(Quantity, PlainNumbersAreSi) {
  EXPECT_EQ(parse_quantity(Value(0.2), Dimension::kSeconds), 0.2);
  EXPECT_EQ(parse_quantity(Value(7), Dimension::kPerSecond), 7);
  EXPECT_EQ(parse_quantity("7", Dimension::kPerSecond), 7);
}

TEST(Quantity, DurationsAreExact) {
  EXPECT_EQ(parse_duration("200ms"), 200ms);
  EXPECT_EQ(parse_duration("60s"), 60s);
  EXPECT_EQ(parse_duration("4min"), 4min);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_duration("10us"), 10us);
  EXPECT_EQ(parse_duration(Value(0.1)), 100ms);
}

TEST(Quantity, RefusesTheWrongUnitAndNonsense) {
  const auto error = [](std::string_view text, Dimension d) { return error_from([&] { parse_quantity(text, d); }); };
  EXPECT_EQ(error("12ms", Dimension::kPerSecond), "expected a rate like \"12/s\", got \"12ms\"");
  EXPECT_EQ(error("fast", Dimension::kSeconds), "expected a duration like \"200ms\", got \"fast\"");
  EXPECT_EQ(error("", Dimension::kBytes), "expected a size like \"2MB\", got \"\"");
  EXPECT_EQ(error("nan", Dimension::kNumber), "expected a number, got \"nan\"");
  EXPECT_EQ(error("1e400s", Dimension::kSeconds), "expected a duration like \"200ms\", got \"1e400s\"");
  EXPECT_EQ(error("1e308TB", Dimension::kBytes), "expected a size like \"2MB\", got \"1e308TB\"");
  EXPECT_EQ(error_from([] { parse_quantity(Value(true), Dimension::kWatts); }),
            "expected a power like \"300kW\", got true");
  EXPECT_EQ(error_from([] { parse_duration("200d"); }),
            "expected a duration below 106 days, the horizon of a run, got \"200d\"");
}

TEST(Quantity, FormattedDurationsReadBack) {
  for (const Duration d : {Duration{0}, Duration{1}, Duration{200ms}, Duration{4min}, Duration{1500ms}, Duration{-3s},
                           Duration{123456789}}) {
    EXPECT_EQ(parse_duration(format_duration(d)), d) << format_duration(d);
  }
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(240s), "4min");
}

TEST(Names, NearestIsFoundThroughTyposSwapsCaseAndParts) {
  const std::vector<std::string> known{"fcfs", "sarathi", "vllm", "vllm-v1", "orca", "llama-3.1-8b", "llama-3.1-70b"};
  EXPECT_EQ(nearest_name("sarati", known), "sarathi");
  EXPECT_EQ(nearest_name("srathi", known), "sarathi");
  EXPECT_EQ(nearest_name("Orca", known), "orca");
  EXPECT_EQ(nearest_name("vllm_v1", known), "vllm-v1");
  EXPECT_EQ(nearest_name("llama-3.1-70", known), "llama-3.1-70b");
  EXPECT_EQ(nearest_name("llama", known), "llama-3.1-8b") << "a part of a name";
  EXPECT_EQ(nearest_name("zzz", known), "");
  EXPECT_EQ(nearest_name("", known), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'a'), known), "");
}

TEST(Names, EditDistanceIsAMetricOnExamples) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("ab", "ba"), 1);
  EXPECT_EQ(edit_distance("same", "same"), 0);
}

TEST(Names, WhatOtherProgramsCallAKeyIsUnderstood) {
  EXPECT_EQ(same_meaning("tensor_parallel_size", {"replicas", "tp", "pp"}), "tp");
  EXPECT_EQ(same_meaning("max_num_seqs", {"token_budget", "max_running"}), "max_running");
  EXPECT_EQ(same_meaning("max-running", {"max_num_seqs"}), "max_num_seqs");
  EXPECT_EQ(same_meaning("qps", {"process", "rate"}), "rate");
  EXPECT_EQ(same_meaning("qps", {"process"}), "");
  EXPECT_EQ(same_meaning("", {"tp"}), "");
  EXPECT_EQ(did_you_mean("gpus", {"pp", "tp", "replicas"}), "; did you mean \"replicas\"?");
}

TEST(Names, AliasesAreSuggestedButNotListed) {
  EXPECT_EQ(unknown_name("policy", "trtlm", {"tensorrt-llm", "tgi"}, {"trtllm"}),
            "unknown policy \"trtlm\"; did you mean \"trtllm\"?");
  EXPECT_EQ(unknown_name("policy", "vllm_v2", {"vllm", "vllm-v1"}, {"vllm_v0"}),
            "unknown policy \"vllm_v2\"; did you mean \"vllm-v1\"?");
  EXPECT_EQ(unknown_name("policy", "zzzz", {"vllm", "tgi"}, {"vllm_v0"}), "unknown policy \"zzzz\"; known: vllm, tgi");
}

TEST(Names, MessagesListWhatIsKnownWhenNothingIsNear) {
  EXPECT_EQ(unknown_name("model", "lama", {"llama", "opt"}), "unknown model \"lama\"; did you mean \"llama\"?");
  EXPECT_EQ(unknown_name("model", "zzzz", {"llama", "opt"}), "unknown model \"zzzz\"; known: llama, opt");
}

}  // namespace
}  // namespace orrery
