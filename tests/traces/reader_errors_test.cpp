/// Every way in which a trace can be wrong, with the exact message.
#include <gmock/gmock.h>

#include "tests/traces/support.hpp"

namespace orrery {
namespace {

struct Bad { const char *text, *message; };

std::string error_of(std::string_view text, TraceReader::Needs needs = {}) {
  return message_of([&] { TraceReader::from_text("t.csv", text, needs); });
}

class BadRow : public testing::TestWithParam<Bad> {};

TEST_P(BadRow, IsToldWithItsLine) {
  const std::string text = std::string("arrival_s,prompt_tokens,output_tokens\n0,1,1\n") + GetParam().text + "\n";
  EXPECT_EQ(error_of(text), std::string("t.csv:3: ") + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Plain, BadRow,
    testing::Values(
        Bad{"x,1,1", "arrival_s: expected seconds in [0, 9000000], got \"x\""},
        Bad{"nan,1,1", "arrival_s: expected seconds in [0, 9000000], got \"nan\""},
        Bad{",1,1", "arrival_s: missing value; expected seconds in [0, 9000000]"},
        Bad{"-1,1,1", "arrival_s: must not be negative, got \"-1\""},
        Bad{"1700000000,1,1",
            "arrival_s: expected seconds since the start of the trace in [0, 9000000] (a date in Unix time?), got "
            "\"1700000000\""},
        Bad{"1e300,1,1",
            "arrival_s: expected seconds since the start of the trace in [0, 9000000] (a date in Unix time?), got "
            "\"1e300\""},
        Bad{"1,0,1", "prompt_tokens: expected a whole number in [1, 100000000], got \"0\""},
        Bad{"1,-4,1", "prompt_tokens: must not be negative, got \"-4\""},
        Bad{"1,NaN,1", "prompt_tokens: expected a whole number in [1, 100000000], got \"NaN\""},
        Bad{"1,2.5,1", "prompt_tokens: must be a whole number, got \"2.5\""},
        Bad{"1,12abc,1", "prompt_tokens: expected a whole number in [1, 100000000], got \"12abc\""},
        Bad{"1,100000001,1", "prompt_tokens: too large; expected a whole number in [1, 100000000], got \"100000001\""},
        Bad{"1,99999999999999999999999,1",
            "prompt_tokens: too large; expected a whole number in [1, 100000000], got \"99999999999999999999999\""},
        Bad{"1,,1", "prompt_tokens: missing value; expected a whole number in [1, 100000000]"},
        Bad{"1,1,0", "output_tokens: expected at least 1 (drop requests that failed), got \"0\""},
        Bad{"1,1,", "output_tokens: missing value; expected a whole number in [1, 100000000]"},
        Bad{"1,1", "expected 3 fields, got 2 (is the line cut off?)"},
        Bad{"1", "expected 3 fields, got 1 (is the line cut off?)"}, Bad{"1,1,1,1", "expected 3 fields, got more"},
        Bad{"1,1\r,1", "prompt_tokens: expected a whole number in [1, 100000000], got \"1?\""}));

TEST(BadTrace, OutputsComeFromOnePlace) {
  EXPECT_EQ(error_of("id,t_s,prompt_len\n0,1,5\n"),
            "t.csv:1: has no output lengths; beside the trace, say \"lengths\": {\"output\": N}");
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens\n5,1,1\n", {.arrivals = true, .output = 9}),
            "t.csv:1: the trace has lengths of its own; only max_tokens and max_total go with it");
}

TEST(BadTrace, ArrivalsMustNotDecrease) {
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens\n5,1,1\n5,1,1\n4.999,1,1\n"),
            "t.csv:4: arrival \"4.999\" is before that of the row above; sort the trace by arrival");
}

TEST(BadTrace, AllErrorsComeAtOnce) {
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens\nx,0,1\n1,1,1\n2,1\n"),
            "t.csv:2: arrival_s: expected seconds in [0, 9000000], got \"x\"\n"
            "t.csv:2: prompt_tokens: expected a whole number in [1, 100000000], got \"0\"\n"
            "t.csv:4: expected 3 fields, got 2 (is the line cut off?)");
}

TEST(BadTrace, AfterTwentyErrorsTheRestIsCounted) {
  std::string text = "arrival_s,prompt_tokens,output_tokens\n";
  for (int i = 0; i < 30; ++i) text += "1,x,1\n";
  const std::string message = error_of(text);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 20);
  EXPECT_THAT(
      message,
      testing::EndsWith("t.csv:21: prompt_tokens: expected a whole number in [1, 100000000], got \"x\"\nand 10 more"));
}

TEST(BadTrace, ALongValueIsCutAndControlCharactersAreHidden) {
  const std::string message =
      error_of("arrival_s,prompt_tokens,output_tokens\n1,\x01" + std::string(100, 'a') + ",1\n");
  EXPECT_THAT(message, testing::EndsWith("got \"?" + std::string(59, 'a') + "...\""));
}

TEST(BadTrace, FilesThatHoldNothing) {
  EXPECT_EQ(error_of(""), "t.csv: is empty");
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens\n"), "t.csv: holds no requests");
  EXPECT_EQ(message_of([] { TraceReader::open("/no/such/trace.csv"); }),
            "/no/such/trace.csv: cannot be opened: No such file or directory");
  EXPECT_EQ(message_of([] { TraceReader::open("/"); }), "/: is not a regular file");
}

TEST(BadTrace, Headers) {
  EXPECT_EQ(error_of("a,b,c\n1,2,3\n"),
            "t.csv:1: not a known trace: the header has none of TIMESTAMP,ContextTokens,GeneratedTokens (Azure), "
            "Timestamp,Request tokens,Response tokens (BurstGPT) or arrival_s,prompt_tokens,output_tokens (plain), and "
            "the line "
            "is no JSON object (Mooncake)");
  EXPECT_EQ(error_of("arrival_s,prompt_tokens\n0,1\n"), "t.csv:1: missing column output_tokens");
  EXPECT_EQ(error_of("TIMESTAMP,ContextTokens\n0,1\n"), "t.csv:1: missing column GeneratedTokens");
  EXPECT_EQ(error_of("Model,Request tokens,Response tokens\nm,1,1\n"), "t.csv:1: missing column Timestamp");
  EXPECT_EQ(error_of("prompt_tokens,output_tokens\n1,1\n"),
            "t.csv:1: missing column arrival_s; a file of lengths can be used only under /workload/lengths");
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens,prioritty\n0,1,1,1\n"),
            "t.csv:1: unknown column \"prioritty\"; did you mean \"priority\"?");
  EXPECT_EQ(error_of("arrival_s,arrival_s,prompt_tokens,output_tokens\n0,0,1,1\n"),
            "t.csv:1: column arrival_s appears twice");
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens,parent\n0,1,1,\n"),
            "t.csv:1: column parent: not available in this version");
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens,prefix_id\n0,1,1,\n"),
            "t.csv:1: prefix_id and prefix_tokens go together");
}

TEST(BadTrace, RulesBetweenColumns) {
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens,max_tokens\n0,1,9,8\n"),
            "t.csv:2: max_tokens: must be at least output_tokens (9), got \"8\"");
  EXPECT_EQ(error_of("arrival_s,prompt_tokens,output_tokens,prefix_id,prefix_tokens\n0,10,9,a,11\n"),
            "t.csv:2: prefix_tokens: must be at most prompt_tokens (10), got \"11\"");
}

TEST(BadTrace, OptionalColumns) {
  const auto with = [](const char* column, const char* value) {
    return error_of(std::string("arrival_s,prompt_tokens,output_tokens,") + column + "\n0,1,1," + value + "\n");
  };
  EXPECT_EQ(with("priority", "40000"),
            "t.csv:2: priority: too large; expected a whole number in [-32767, 32767], got \"40000\"");
  EXPECT_EQ(with("priority", "--1"), "t.csv:2: priority: expected a whole number in [-32767, 32767], got \"--1\"");
  EXPECT_EQ(with("turn", "-1"), "t.csv:2: turn: must not be negative, got \"-1\"");
  EXPECT_EQ(with("think_s", "-1"), "t.csv:2: think_s: must not be negative, got \"-1\"");
  EXPECT_EQ(with("deadline_s", "soon"), "t.csv:2: deadline_s: expected seconds in [0, 9000000], got \"soon\"");
  EXPECT_EQ(with("max_tokens", "0"), "t.csv:2: max_tokens: expected a whole number in [1, 100000000], got \"0\"");
}

TEST(BadTrace, TenantsBeyondSixteenBits) {
  std::string text = "arrival_s,prompt_tokens,output_tokens,tenant\n";
  for (int i = 0; i < 65'536; ++i) text += "0,1,1,t" + std::to_string(i) + "\n";
  EXPECT_EQ(error_of(text), "t.csv:65537: tenant: more than 65535 distinct names, got \"t65535\"");
}

TEST(BadTrace, AzureDates) {
  const auto with = [](const char* time) {
    return error_of(std::string("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 00:00:00,1,1\n") + time +
                    ",1,1\n");
  };
  const std::string rule = "t.csv:3: TIMESTAMP: expected a time like 2023-11-16 18:15:46.6805900, got ";
  EXPECT_EQ(with("17"), rule + "\"17\"");
  EXPECT_EQ(with("2023-13-16 00:00:00"), rule + "\"2023-13-16 00:00:00\"");
  EXPECT_EQ(with("2023-11-16 24:00:00"), rule + "\"2023-11-16 24:00:00\"");
  EXPECT_EQ(with("2023-11-16 00:00:00.1234567890123"), rule + "\"2023-11-16 00:00:00.1234567890123\"");
  EXPECT_EQ(with("2023-11-15 23:59:59"),
            "t.csv:3: arrival \"2023-11-15 23:59:59\" is before that of the row above; sort the trace by arrival");
  EXPECT_EQ(with("2024-11-16 00:00:00"),
            "t.csv:3: TIMESTAMP: too large; a trace spans at most 9000000 s, got \"2024-11-16 00:00:00\"");
}

class BadLine : public testing::TestWithParam<Bad> {};

TEST_P(BadLine, OfMooncakeIsTold) {
  const std::string text =
      std::string("{\"timestamp\": 5, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [0]}\n") +
      GetParam().text + "\n";
  EXPECT_EQ(error_of(text), std::string("t.csv:2: ") + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Mooncake, BadLine,
    testing::Values(Bad{"{\"timestamp\": 6, \"input_length\": 1, \"output_",
                        "not a JSON object on one line (is the line cut off?)"},
                    Bad{"[1]", "not a JSON object on one line (is the line cut off?)"},
                    Bad{"{\"input_length\": 1, \"output_length\": 1}",
                        "timestamp: missing value; expected milliseconds in [0, 9000000000]"},
                    Bad{"{\"timestamp\": 4, \"input_length\": 1, \"output_length\": 1}",
                        "arrival \"4\" is before that of the row above; sort the trace by arrival"},
                    Bad{"{\"timestamp\": NaN, \"input_length\": 1, \"output_length\": 1}",
                        "timestamp: expected milliseconds in [0, 9000000000], got \"NaN\""},
                    Bad{"{\"timestamp\": 1e12, \"input_length\": 1, \"output_length\": 1}",
                        "timestamp: too large; expected milliseconds in [0, 9000000000], got \"1e12\""},
                    Bad{"{\"timestamp\": 6, \"input_length\": -1, \"output_length\": 1}",
                        "input_length: must not be negative, got \"-1\""},
                    Bad{"{\"timestamp\": 6, \"input_length\": null, \"output_length\": 1}",
                        "input_length: expected a whole number in [1, 100000000], got \"null\""},
                    Bad{"{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 0}",
                        "output_length: expected at least 1 (drop requests that failed), got \"0\""},
                    Bad{"{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 1.5}",
                        "output_length: must be a whole number, got \"1.5\""},
                    Bad{"{\"timestamp\": 6, \"input_length\": 513, \"output_length\": 1, \"hash_ids\": [1]}",
                        "hash_ids: expected 2 ids, one for each 512 tokens of the prompt, got \"1\""},
                    Bad{"{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [x]}",
                        "hash_ids: expected whole numbers, got \"x\""}));

}  // namespace
}  // namespace orrery
