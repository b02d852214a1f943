/// Readers report everything at once, in words that name the place, the rule and the value.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/config/reader.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;

enum class Preempt { kRecompute, kSwap };

struct Knobs {
  Tokens token_budget = 512_tok;
  int max_running = 256;
  double watermark = 0.01;
  double rate = 1;
  bool chunked = true;
  std::string note = "none";
  std::vector<double> buckets{1, 2};
  Duration keep = 60s;
  Preempt preempt = Preempt::kRecompute;
  Bytes page{4096};
};

void describe(Describer& d, Knobs& k) {
  d.field("token_budget", k.token_budget, {1, 1048576}, "Tokens per iteration, running decodes included");
  d.field("max_running", k.max_running, {1, 65536}, "Calls that may hold KV at once");
  d.field("watermark", k.watermark, {0, 0.5}, "Fraction of blocks kept free");
  d.field("rate", k.rate, {0}, "Requests a second", "/s");
  d.field("chunked", k.chunked, "Split prompts");
  d.field("note", k.note, "Free text");
  d.field("buckets", k.buckets, {0}, "Edges");
  d.field("keep", k.keep, {0, 3600}, "How long it stays");
  d.field("preempt", k.preempt, {{"recompute", 0}, {"swap", 1}}, "What happens to KV");
  d.field("page", k.page, {1}, "Page size");
}

struct Reading {
  Knobs knobs;
  std::vector<std::string> errors;
};

Reading read(std::string_view text) {
  Value document = parse_json(text);
  document.anchor("/policy/batching");
  ErrorList errors;
  ObjectReader reader(document, errors);
  JsonDescriber d(reader);
  Reading out;
  describe(d, out.knobs);
  reader.finish();
  out.errors = errors.lines();
  return out;
}

TEST(JsonDescriber, ANumberInQuotesNeedsAUnit) {
  EXPECT_THAT(read(R"({"keep": "90", "rate": "5", "page": "2000000"})").errors,
              ElementsAre("/policy/batching/rate: expected a rate like \"12/s\", got \"5\" without a unit",
                          "/policy/batching/keep: expected a duration like \"200ms\", got \"90\" without a unit",
                          testing::HasSubstr("/policy/batching/page: expected an integer")));
  EXPECT_THAT(read(R"({"keep": 90, "rate": 5, "page": 2000000})").errors, ElementsAre());
}

TEST(JsonDescriber, FillsEveryKindOfField) {
  const Reading r =
      read(R"({"token_budget": 2048, "max_running": 8, "watermark": 0.05, "rate": "90/min", "chunked": false,
      "note": "x", "buckets": [3, 4.5], "keep": "2min", "preempt": "swap", "page": "2MB", "//": "ignored",
          "$schema": "s"})");
  EXPECT_THAT(r.errors, ElementsAre());
  EXPECT_EQ(r.knobs.token_budget, 2048_tok);
  EXPECT_EQ(r.knobs.max_running, 8);
  EXPECT_EQ(r.knobs.watermark, 0.05);
  EXPECT_EQ(r.knobs.rate, 1.5);
  EXPECT_FALSE(r.knobs.chunked);
  EXPECT_EQ(r.knobs.note, "x");
  EXPECT_THAT(r.knobs.buckets, ElementsAre(3, 4.5));
  EXPECT_EQ(r.knobs.keep, 2min);
  EXPECT_EQ(r.knobs.preempt, Preempt::kSwap);
  EXPECT_EQ(r.knobs.page, 2000000_B);
}

TEST(JsonDescriber, ReportsAllErrorsAtOnceAndKeepsDefaults) {
  const Reading r = read(R"({"token_budget": -5, "max_running": 2.5, "watermark": 0.9, "rate": "fast", "chunked": 1,
      "note": 7, "buckets": [1, "a", -1], "keep": "2h", "preempt": "swop", "page": 0, "token_buget": 4})");
  EXPECT_THAT(
      r.errors,
      ElementsAre(
          "/policy/batching/token_budget: expected an integer in [1, 1048576], got -5",
          "/policy/batching/max_running: expected an integer in [1, 65536], got 2.5",
          "/policy/batching/watermark: expected a number in [0, 0.5], got 0.9",
          "/policy/batching/rate: expected a rate like \"12/s\", got \"fast\"",
          "/policy/batching/chunked: expected true or false, got 1", "/policy/batching/note: expected a string, got 7",
          "/policy/batching/buckets/1: expected a number >= 0, got \"a\"",
          "/policy/batching/buckets/2: expected a number >= 0, got -1",
          "/policy/batching/keep: expected a duration in [0, 3600] s, got \"2h\"",
          "/policy/batching/preempt: expected one of \"recompute\", \"swap\", got \"swop\"; did you mean \"swap\"?",
          "/policy/batching/page: expected an integer >= 1, got 0",
          "/policy/batching/token_buget: unknown key; did you mean \"token_budget\"?"));
  EXPECT_EQ(r.knobs.token_budget, 512_tok);
  EXPECT_EQ(r.knobs.keep, 60s);
}

TEST(JsonDescriber, HugeIntegersAreOutOfRangeNotTruncated) {
  EXPECT_THAT(read(R"({"max_running": 4294967297})").errors,
              ElementsAre("/policy/batching/max_running: expected an integer in [1, 65536], got 4294967297"));
  EXPECT_THAT(read(R"({"page": 1e300})").errors,
              ElementsAre("/policy/batching/page: expected an integer >= 1, got 1e+300"));
}

TEST(ObjectReader, AnythingButAnObjectIsOneError) {
  ErrorList errors;
  const Value v = parse_json("[1]");
  ObjectReader reader(v, errors, "/cluster");
  std::int64_t tp = 1;
  EXPECT_FALSE(reader.integer("tp", tp));
  EXPECT_EQ(reader.require("replicas"), nullptr);
  reader.finish();
  EXPECT_THAT(errors.lines(), ElementsAre("/cluster: expected an object, got an array"));
}

TEST(ObjectReader, MissingReservedAndUnknownKeysAreToldApart) {
  ErrorList errors;
  const Value v = parse_json(R"({"events": [], "workloud": 1})");
  ObjectReader reader(v, errors);
  reader.require("model");
  reader.take("workload");
  reader.not_available("events");
  reader.not_available("power");
  reader.finish();
  EXPECT_THAT(errors.lines(), ElementsAre("/model: missing key", "/events: not available in this version",
                                          "/workloud: unknown key; did you mean \"workload\"?"));
  EXPECT_THROW(errors.throw_if_any(), ConfigError);
}

TEST(ListDescriber, ListsNameTypeRangeDefaultUnitAndHelp) {
  ListDescriber d;
  Knobs knobs;
  describe(d, knobs);
  const auto& p = d.parameters.items();
  ASSERT_EQ(p.size(), 10u);
  EXPECT_EQ(to_json(p[0], -1),
            R"({"name": "token_budget", "type": "integer", "min": 1, "max": 1048576, "default": 512, )"
            R"("unit": "tokens", "help": "Tokens per iteration, running decodes included"})");
  EXPECT_EQ(to_json(p[3], -1), R"({"name": "rate", "type": "number", "min": 0.0, "default": 1.0, "unit": "/s", )"
                               R"("help": "Requests a second"})");
  EXPECT_EQ(to_json(p[7], -1), R"({"name": "keep", "type": "duration", "min": 0.0, "max": 3600.0, "default": "1min", )"
                               R"("unit": "s", "help": "How long it stays"})");
  EXPECT_EQ(to_json(p[8], -1), R"({"name": "preempt", "type": "enum", "values": ["recompute", "swap"], )"
                               R"("default": "recompute", "help": "What happens to KV"})");
}

TEST(DumpDescriber, WritesResolvedValuesThatReadBackEqual) {
  const Value given = parse_json(R"({"token_budget": 64, "keep": "90s", "preempt": "swap"})");
  ErrorList errors;
  ObjectReader reader(given, errors);
  JsonDescriber json(reader);
  DumpDescriber dump(json);
  Knobs knobs;
  describe(dump, knobs);
  EXPECT_EQ(knobs.token_budget, 64_tok) << "the dump passes the visit on";
  EXPECT_EQ(
      to_json(dump.values, -1),
      R"({"token_budget": 64, "max_running": 256, "watermark": 0.01, "rate": 1.0, "chunked": true, "note": "none", )"
      R"("buckets": [1.0, 2.0], "keep": "90s", "preempt": "swap", "page": 4096})");
  const Reading again = read(to_json(dump.values));
  EXPECT_THAT(again.errors, ElementsAre());
  EXPECT_EQ(again.knobs.keep, 90s);
  EXPECT_EQ(again.knobs.preempt, Preempt::kSwap);
}

}  // namespace
}  // namespace orrery
