/// The JSON front end: positions, duplicate keys, comments, round trips, and the exact words of its errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string error_of(std::string_view text, std::string_view name = "run.json") {
  try {
    parse_json(text, name);
  } catch (const ConfigError& e) { return e.what(); }
  return "no error";
}

template <class F>
std::string error_from(F f) {
  try {
    f();
  } catch (const ConfigError& e) { return e.what(); }
  return "no error";
}

constexpr std::string_view kDocument = R"({
  // a comment
  "cluster": {
    "tp": 1, /* another */
    "sizes": [10,
              20
    ]
  },
  "model": "llama", "rate": 0.1, "on": true, "off": null, "big": 1e3
})";

TEST(ParseJson, KnowsPointerAndLineOfEveryValue) {
  const Value v = parse_json(kDocument, "run.json");
  EXPECT_EQ(v.where(), "run.json:1 /");
  EXPECT_EQ(v.at("cluster").where(), "run.json:3 /cluster");
  EXPECT_EQ(v.at("cluster").at("tp").where(), "run.json:4 /cluster/tp");
  EXPECT_EQ(v.at("cluster").at("sizes").items()[0].where(), "run.json:5 /cluster/sizes/0");
  EXPECT_EQ(v.at("cluster").at("sizes").items()[1].where(),
            "run.json:6 /cluster/sizes/1");  // a newline ends the number
  EXPECT_EQ(v.at("model").where(), "run.json:9 /model");
}

TEST(ParseJson, ReadsEveryKind) {
  const Value v = parse_json(kDocument);
  EXPECT_EQ(v.at("cluster").at("tp").as_int(), 1);
  EXPECT_EQ(v.at("model").as_string(), "llama");
  EXPECT_EQ(v.at("rate").as_double(), 0.1);
  EXPECT_TRUE(v.at("on").as_bool());
  EXPECT_TRUE(v.at("off").is_null());
  EXPECT_EQ(v.at("big").as_int(), 1000) << "a double with an integer value is an integer where one is asked for";
  EXPECT_EQ(v.find("none"), nullptr);
}

TEST(ParseJson, IntegersBeyondInt64BecomeDoubles) {
  EXPECT_EQ(parse_json("9223372036854775807").kind(), Value::Kind::kInt);
  EXPECT_EQ(parse_json("9223372036854775808").kind(), Value::Kind::kDouble);
}

TEST(ParseJson, SyntaxErrorsNameFileLineAndColumn) {
  EXPECT_THAT(error_of("{\n  \"a\": 1,\n  \"b\": }"), StartsWith("run.json:3:8: syntax error while parsing value"));
  EXPECT_THAT(error_of("{\"a\": 1} 2"), StartsWith("run.json:1:10: syntax error"));
  EXPECT_THAT(error_of(""), StartsWith("run.json:1:1: syntax error while parsing value - unexpected end of input"));
  EXPECT_THAT(error_of("[1e999]"), HasSubstr("number overflow"));
  EXPECT_THAT(error_of("[NaN]"), StartsWith("run.json:1:2: syntax error"));
  EXPECT_THAT(error_of("\"\xff\""), HasSubstr("ill-formed UTF-8"));
}

TEST(ParseJson, DuplicateKeysAreErrors) {
  EXPECT_EQ(error_of("{\"a\": {\"tp\": 1,\n\"x\": 2,\n\"tp\": 4}}"),
            "run.json:3: /a/tp is given twice; first on line 1");
  EXPECT_EQ(error_of("{\"//\": \"one\", \"//\": \"two\"}"), "no error") << "comment keys may repeat";
}

TEST(ParseJson, DeepNestingIsRefusedNotCrashed) {
  EXPECT_EQ(error_of(std::string(201, '[') + std::string(201, ']')), "run.json:1: nested deeper than 200 levels");
  EXPECT_EQ(error_of(std::string(200, '[') + std::string(200, ']')), "no error");
}

TEST(ParseJson, FilesThatCannotBeReadAreNamed) {
  EXPECT_EQ(error_from([] { parse_json_file("/no/such/run.json"); }), "/no/such/run.json: cannot open this file");
  EXPECT_EQ(error_from([] { parse_json_file("/"); }), "/: is a directory, not a file");
}

TEST(Value, WrongKindsNamePointerAndValue) {
  const Value v = parse_json(R"({"a": {"b/c": "x"}})");
  EXPECT_EQ(error_from([&] { v.at("a").at("b/c").as_int(); }), "/a/b~1c: expected an integer, got \"x\"");
  EXPECT_EQ(error_from([&] { v.at("a").as_string(); }), "/a: expected a string, got an object");
  EXPECT_EQ(error_from([&] { v.at("a").at("d"); }), "/a/d: missing key");
  EXPECT_EQ(error_from([&] { parse_json("1.5").as_int(); }), "/: expected an integer, got 1.5");
}

TEST(Value, BuildsAndAnchorsDocuments) {
  Value v;
  v["cluster"]["tp"] = 4;
  v["list"].push_back("x");
  v.anchor("");
  EXPECT_EQ(v.at("cluster").at("tp").pointer(), "/cluster/tp");
  EXPECT_EQ(v.at("list").items()[0].pointer(), "/list/0");
  EXPECT_TRUE(v.erase("list"));
  EXPECT_FALSE(v.erase("list"));
  EXPECT_EQ(to_json(v, -1), R"({"cluster": {"tp": 4}})");
}

TEST(ToJson, KeepsOrderKindsAndEveryDouble) {
  constexpr std::string_view text =
      R"({"z": 1, "a": 1.0, "s": "q\"\\\n\u0001é", "e": {}, "l": [0.1, 1e+300, -3, true, null]})";
  const std::string once = to_json(parse_json(text), -1);
  EXPECT_EQ(once, text);
  for (const double d : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789.0, -0.0}) {
    EXPECT_EQ(parse_json(to_json(Value(d))).as_double(), d);
    EXPECT_EQ(parse_json(to_json(Value(d))).kind(), Value::Kind::kDouble);
  }
  EXPECT_EQ(to_json(Value(1.0 / 0.0)), "null");
}

TEST(ToJson, IndentsLikeAPerson) {
  EXPECT_EQ(to_json(parse_json(R"({"a":{"b":[1,2]},"c":{}})")),
            "{\n  \"a\": {\n    \"b\": [\n      1,\n      2\n    ]\n  },\n  \"c\": {}\n}");
}

}  // namespace
}  // namespace orrery
