/// The trace formats, on small texts and on the published traces.
#include "traces/trace_reader.hpp"

#include <gmock/gmock.h>

#include "tests/traces/support.hpp"
#include "traces/parse_text.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;

std::vector<Popped> rows_of(std::string_view text, TraceReader::Needs needs = {}) {
  TraceReader reader = TraceReader::from_text("t", text, needs);
  std::vector<Popped> rows;
  while (const TraceRow* row = reader.next()) {
    rows.push_back({row->request, {row->request.segments.begin(), row->request.segments.end()}});
  }
  EXPECT_EQ(static_cast<std::int64_t>(rows.size()), reader.facts().rows);
  return rows;
}

TEST(AzureTrace, TimesAreExactToTheTenthOfAMicrosecond) {
  const auto rows = rows_of("TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                            "2023-11-16 18:15:46.6805900,374,44\r\n"
                            "2023-11-16 18:15:50.9951690,396,109\r\n"
                            "2023-11-17 00:00:00.0000001,5,6");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].request.arrival, Time{});
  EXPECT_EQ(to_ps(rows[1].request.arrival), 4'314'579'000'000);
  EXPECT_EQ(to_ps(rows[2].request.arrival), 20'653'319'410'100'000);   // 5 h 44 min 13.3194101 s
  EXPECT_EQ(rows[1].request.prompt_tokens.value(), 396);
  EXPECT_EQ(rows[1].request.output_tokens.value(), 109);
}

TEST(AzureTrace, The2024FormWithAnOffsetIsUnderstood) {
  const auto rows = rows_of(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2024-02-28 23:59:59+00:00,1,1\n2024-02-29T00:00:01Z,1,1\n2024-03-01 02:00:00.5+02:00,1,1\n");
  EXPECT_EQ(rows[1].request.arrival, Time{} + 2s);
  EXPECT_EQ(rows[2].request.arrival, Time{} + 24h + 1s + 500ms);   // 2024 is a leap year
}

TEST(MooncakeTrace, HashIdsBecomeSegmentsWithAPartialLastBlock) {
  const auto rows = rows_of(
      "{\"timestamp\": 0, \"input_length\": 1030, \"output_length\": 5, \"hash_ids\": [0, 1, 2]}\n"
      "{\"hash_ids\":[0,1,3],\"type\":{\"a\":[1,\"}\"]},\"output_length\":7,\"input_length\":1536,\"timestamp\":27.5}"
      "\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].request.arrival, Time{} + 27500us);
  const auto tokens = [](const Popped& p) {
    std::vector<int> out;
    for (const Segment& s : p.segments) out.push_back(s.tokens.value());
    return out;
  };
  EXPECT_THAT(tokens(rows[0]), ElementsAre(512, 512, 6));
  EXPECT_THAT(tokens(rows[1]), ElementsAre(512, 512, 512));
  EXPECT_EQ(rows[0].segments[0].key, rows[1].segments[0].key);
  EXPECT_EQ(rows[0].segments[1].key, rows[1].segments[1].key);
  EXPECT_NE(rows[0].segments[2].key, rows[1].segments[2].key);
}

TEST(BurstGptTrace, ColumnsAreFoundByName) {
  const auto rows = rows_of("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
                            "5,ChatGPT,472,18,490,Conversation log\n45.5,GPT-4,1087,230,1317,API log\n");
  EXPECT_EQ(rows[1].request.arrival, Time{} + 45500ms);
  EXPECT_EQ(rows[0].request.model, 1);
  EXPECT_EQ(rows[1].request.model, 2);
  EXPECT_EQ(rows[1].request.prompt_tokens.value(), 1087);
}

TEST(PlainTrace, AllColumnsInAnyOrder) {
  const std::string_view text =
      "output_tokens,prompt_tokens,arrival_s,max_tokens,tenant,class,session,turn,think_s,model,priority,prefix_id,"
      "prefix_tokens,"
      "cancel_after_s,deadline_s\n"
      "20,100,0.5,,web,interactive,7,0,,chat,-2,sys,40,30,2.5\n"
      "30,200,0.5,64,\"a, \"\"b\"\"\",,7,1,1e-3,,,,,,\n";
  TraceReader reader = TraceReader::from_text("t", text);
  TraceRow first = *reader.next();
  const std::vector<Segment> prefix(first.request.segments.begin(), first.request.segments.end());
  const TraceRow second = *reader.next();
  EXPECT_EQ(reader.next(), nullptr);
  EXPECT_EQ(first.request.arrival, Time{} + 500ms);
  EXPECT_EQ(first.request.max_tokens.value(), 0);   // not stated
  EXPECT_EQ(first.request.priority, -2);
  EXPECT_EQ(first.request.cancel_after, Duration{30s});
  EXPECT_EQ(first.deadline_after, Duration{2500ms});
  EXPECT_EQ(first.request.session, 8u);
  EXPECT_TRUE(first.declared_prefix);
  ASSERT_EQ(prefix.size(), 1u);
  EXPECT_EQ(prefix[0].tokens.value(), 40);
  EXPECT_EQ(second.request.max_tokens.value(), 64);
  EXPECT_EQ(second.request.turn, 1u);
  EXPECT_EQ(second.think, Duration{1ms});
  EXPECT_EQ(second.request.cancel_after, Duration::max());
  EXPECT_EQ(second.request.priority, 0);
  EXPECT_TRUE(second.request.segments.empty());
  EXPECT_THAT(reader.names().tenants.names(), ElementsAre("", "web", "a, \"b\""));
  EXPECT_EQ(second.request.tenant, 2);
  EXPECT_EQ(second.request.request_class, 0);
  EXPECT_EQ(second.request.model, 0);
}

TEST(PlainTrace, EqualPrefixIdsShareAKeyAndOthersDoNot) {
  const auto rows = rows_of(
      "arrival_s,prompt_tokens,output_tokens,prefix_id,prefix_tokens\n0,9,1,a,4\n0,9,1,b,4\n1,9,1,a,4\n2,9,1,a,5\n");
  EXPECT_EQ(rows[0].segments[0].key, rows[2].segments[0].key);
  EXPECT_NE(rows[0].segments[0].key, rows[1].segments[0].key);
  EXPECT_NE(rows[0].segments[0].key, rows[3].segments[0].key);   // another length is another text
}

TEST(PlainTrace, SessionNamesThatAreNoNumbersAreInterned) {
  const auto rows = rows_of("arrival_s,prompt_tokens,output_tokens,session\n0,1,1,7\n0,1,1,abc\n1,1,1,7\n2,1,1,\n");
  EXPECT_EQ(rows[0].request.session, rows[2].request.session);
  EXPECT_NE(rows[0].request.session, rows[1].request.session);
  EXPECT_NE(rows[1].request.session, 0u);
  EXPECT_EQ(rows[3].request.session, 0u);
}

TEST(LengthFile, NeedsNoArrivals) {
  const auto rows = rows_of("num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n3772,54,3826,69.8\n",
                            {.arrivals = false, .output = 0});
  EXPECT_EQ(rows[0].request.prompt_tokens.value(), 3772);
  EXPECT_EQ(rows[0].request.output_tokens.value(), 54);
  EXPECT_EQ(
      rows_of("id,t_s,prompt_len\n0,2.5,512\n", {.arrivals = true, .output = 128})[0].request.output_tokens.value(),
      128);
  EXPECT_EQ(rows_of("id,t_s,prompt_len\n0,2.5,512\n", {.arrivals = true, .output = 128})[0].request.arrival,
            Time{2500ms});
  EXPECT_EQ(
      rows_of("output_tokens,prompt_tokens\n5,6\n", {.arrivals = false, .output = 0})[0].request.output_tokens.value(),
      5);
}

TEST(TraceText, ByteOrderMarkBlankLinesAndMissingLastNewline) {
  EXPECT_EQ(rows_of("\xef\xbb\xbf" "arrival_s,prompt_tokens,output_tokens\n\n0,1,1\r\n\r\n1,1,1").size(), 2u);
}

TEST(TraceText, AWindowBoundaryInsideARowChangesNothing) {
  std::string text = "arrival_s,prompt_tokens,output_tokens\n";
  for (int i = 0; i < 100'000; ++i)
    text += std::to_string(i) + "." + std::to_string(i % 10) + "," + std::to_string(i % 977 + 1) + ",7\n";
  TraceReader reader = TraceReader::from_text("t", text);
  for (int lap = 0; lap < 2; ++lap) {
    std::int64_t i = 0;
    for (const TraceRow* row; (row = reader.next()) != nullptr; ++i) {
      ASSERT_EQ(row->request.number, static_cast<std::uint64_t>(i));
      ASSERT_EQ(row->request.arrival, Time{} + std::chrono::seconds{i} + std::chrono::milliseconds{i % 10 * 100});
      ASSERT_EQ(row->request.prompt_tokens.value(), i % 977 + 1);
    }
    EXPECT_EQ(i, 100'000);
    reader.rewind();
  }
}

struct Decimal { const char* text; int places; std::int64_t value; };
TEST(ParseText, DecimalsAreExact) {
  for (const Decimal& d : {Decimal{"0.618518,", 12, 618'518'000'000},
                           {"1234567.123456789012,", 12, 1'234'567'123'456'789'012},
                           {"0.1000000000000000055511,", 12, 100'000'000'000},
                           {"0.0000000000005,", 12, 1},
                           {"0.00000000000049999,", 12, 0},
                           {"1e-05,", 12, 10'000'000},
                           {"1.5E+3,", 12, 1'500'000'000'000'000},
                           {"27.5,", 9, 27'500'000'000},
                           {"-0.0,", 12, 0},
                           {".5,", 3, 500},
                           {"5.,", 3, 5000},
                           {"1e-400,", 12, 0},
                           {"0e9999,", 12, 0},
                           {"00012,", 0, 12},
                           {"99999999999999999999e-14,", 12, 1'000'000'000'000'000'000}}) {
    const char* p = d.text;
    std::int64_t value = -1;
    EXPECT_EQ(parse_decimal(p, d.places, value), Parsed::kOk) << d.text;
    EXPECT_EQ(value, d.value) << d.text;
    EXPECT_EQ(*p, ',') << d.text;
  }
}

TEST(ParseText, WhatIsNoDecimalIsTold) {
  const auto why = [](const char* p) {
    std::int64_t value = 0;
    return parse_decimal(p, 12, value);
  };
  EXPECT_EQ(why("nan,"), Parsed::kNotNumber);
  EXPECT_EQ(why(","), Parsed::kNotNumber);
  EXPECT_EQ(why("1e,"), Parsed::kNotNumber);
  EXPECT_EQ(why("-1,"), Parsed::kNegative);
  EXPECT_EQ(why("1e30,"), Parsed::kHuge);
  EXPECT_EQ(why("99999999999,"), Parsed::kHuge);
}

// ---- published traces
// ------------------------------------------------------------------------------------------------

struct Published {
  const char* file;
  std::int64_t rows;
  double mean_prompt, mean_output;
  TraceFormat format;
  double last_s;
};
class PublishedTraces : public testing::TestWithParam<Published> {};

TEST_P(PublishedTraces, HaveTheirRowsAndMeans) {
  ORRERY_NEEDS_TRACES();
  const Published& p = GetParam();
  TraceReader reader = TraceReader::open(trace_folder() + "/" + p.file, {.arrivals = false, .output = 0});
  const TraceFacts& f = reader.facts();
  EXPECT_EQ(f.rows, p.rows);
  EXPECT_EQ(f.format, p.format);
  EXPECT_NEAR(static_cast<double>(f.prompt_sum) / static_cast<double>(f.rows), p.mean_prompt, 0.5);
  EXPECT_NEAR(static_cast<double>(f.output_sum) / static_cast<double>(f.rows), p.mean_output, 0.5);
  EXPECT_NEAR(to_seconds(f.last), p.last_s, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(All, PublishedTraces, testing::Values(
    Published{"azure_llm_2023_conv.csv", 19'366, 1155, 211, TraceFormat::kAzure, 3501.721937},
    Published{"azure_llm_2023_code.csv", 8'819, 2048, 28, TraceFormat::kAzure, 3435.948056},
    Published{"mooncake_fast25_conversation.jsonl", 12'031, 12'035, 342.6, TraceFormat::kMooncake, 3536.999},
    Published{"mooncake_fast25_synthetic.jsonl", 3'993, 15'325, 149.1, TraceFormat::kMooncake, 1022.025},
    Published{"vidur_arxiv_summarization_lengths.csv", 28'257, 2588, 291.4, TraceFormat::kLengths, 0},
    Published{"apex_llama_lmsys.csv", 1'024, 61.7, 162.1, TraceFormat::kPlain, 2023.671132},
    Published{"vtc_arena_multiclient.csv", 1'500, 136.3, 256.2, TraceFormat::kPlain, 600}));

/// Mooncake, FAST'25: the ceiling of prefix reuse, 0.366 of all blocks, here from the segments that a cache is given.
TEST(MooncakeTrace, UnlimitedCacheHitsTheKnownShareOfBlocks) {
  ORRERY_NEEDS_TRACES();
  const auto all = requests_of("{\"trace\": \"mooncake_fast25_conversation.jsonl\"}", SearchPath{{trace_folder()}});
  EXPECT_EQ(all.size(), 12'031u);
  EXPECT_NEAR(hit_ratio(all), 0.3664, 0.00005);
}

/// The twin that always runs: 3 of 8 blocks were seen before.
TEST(MooncakeTrace, HitRatioOfASmallTraceIsCounted) {
  Folder folder;
  folder.write("t.jsonl",
               "{\"timestamp\": 0, \"input_length\": 1024, \"output_length\": 1, \"hash_ids\": [0, 1]}\n"
               "{\"timestamp\": 0, \"input_length\": 1536, \"output_length\": 1, \"hash_ids\": [0, 1, 2]}\n"
               "{\"timestamp\": 9, \"input_length\": 1300, \"output_length\": 1, \"hash_ids\": [0, 3, 4]}\n");
  EXPECT_EQ(hit_ratio(requests_of("{\"trace\": \"t.jsonl\"}", SearchPath{{folder.path()}})), 3.0 / 8);
}

}  // namespace
}  // namespace orrery
