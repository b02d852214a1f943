/// The workload block: every message about what is wrong with it.
#include <gmock/gmock.h>

#include "tests/traces/support.hpp"
#include "traces/make_source.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

ResolvedInfo resolve(const std::string& workload, const SearchPath& path = {}) {
  ResolvedInfo info;
  make_source(parse_json(workload), 1, path, info);
  return info;
}

std::string error_of(const std::string& workload, const SearchPath& path = SearchPath{{"/nowhere"}}) {
  return message_of([&] { resolve(workload, path); });
}

TEST(WorkloadMistakes, AreToldAtOnceWithTheirPointers) {
  EXPECT_EQ(
      error_of(
          R"({"arrival": {"process": "poison", "rate": "2x", "users": 3}, "lengths": {"prompt": -5,
              "output": "lognormal:1"},
                         "sessions": {"turns": 0}, "prefixes": [{"tokens": 0, "share": 2}], "requests": 0,
                             "thnk": 1})"),
      "/lengths/prompt: expected 1 to 100000000 tokens, got -5\n"
      "/lengths/output: expected lognormal:MEAN,SIGMA, got \"lognormal:1\"\n"
      "/arrival/process: expected one of \"constant\", \"poisson\", \"gamma\", \"onoff\", \"profile\", \"closed\", "
      "\"sinusoid\", got \"poison\"; did you mean \"poisson\"?\n"
      "/arrival/rate: expected a rate like \"12/s\", got \"2x\"\n"
      "/arrival/users: has no meaning for process \"poisson\"\n"
      "/sessions/think: missing key\n"
      "/sessions/turns: expected 1 to 1000000 turns, got 0\n"
      "/prefixes/0/tokens: expected an integer in [1, 100000000], got 0\n"
      "/prefixes/0/share: expected a number in [0, 1], got 2\n"
      "/requests: expected an integer in [1, 1e+15], got 0\n"
      "/thnk: unknown key");
}

struct Wrong { const char *workload, *message; };
class WorkloadMistake : public testing::TestWithParam<Wrong> {};
TEST_P(WorkloadMistake, IsTold) { EXPECT_EQ(error_of(GetParam().workload), GetParam().message); }

INSTANTIATE_TEST_SUITE_P(
    Generated, WorkloadMistake,
    testing::Values(
        Wrong{R"({})", "/: expected \"lengths\" or \"trace\""},
        Wrong{R"({"lengths": {"prompt": 1, "output": 1}})", "/arrival: missing key"},
        Wrong{R"({"lengths": "sharegpt-like"})", "/arrival: missing key"},
        Wrong{R"({"lengths": "sharegpt-lik", "arrival": {"rate": 1}})",
              "/lengths: unknown workload model \"sharegpt-lik\"; did you mean \"sharegpt-like\"?"},
        Wrong{R"({"lengths": {"prompt": 1}, "arrival": {"rate": 1}})", "/lengths/output: missing key"},
        Wrong{R"({"lengths": {"prompt": 1, "output": 1, "name": "lmsys-chat"}, "arrival": {"rate": 1}})",
              "/lengths: expected one of name, trace, or prompt with output"},
        Wrong{R"({"lengths": {"prompt": true, "output": 1}, "arrival": {"rate": 1}})",
              "/lengths/prompt: expected a number or a distribution like \"lognormal:1155,1.1\""},
        Wrong{R"({"lengths": {"prompt": "uniform:0..5", "output": 1}, "arrival": {"rate": 1}})",
              "/lengths/prompt: expected 1 to 100000000 tokens, got 0"},
        Wrong{R"({"lengths": {"prompt": "empirical:none.csv", "output": 1}, "arrival": {"rate": 1}})",
              "/lengths/prompt: no file \"none.csv\" in \"/nowhere\""},
        Wrong{R"({"lengths": {"prompt": 1, "output": 1, "max_totl": 5}, "arrival": {"rate": 1}})",
              "/lengths/max_totl: unknown key; did you mean \"max_total\"?"},
        Wrong{R"({"lengths": {"trace": "none.csv"}, "arrival": {"rate": 1}})",
              "/lengths/trace: no file \"none.csv\" in \"/nowhere\""},
        Wrong{R"({"lengths": "lmsys-chat", "arrival": {"rate": 0}})",
              "/arrival/rate: expected a value in [1e-06, 1000000000], got 0"},
        Wrong{R"({"lengths": {"prompt": 1, "output": 1}, "arrival": {"process": "gamma", "rate": 1}})",
              "/arrival/cv: missing key"},
        Wrong{R"({"lengths": "lmsys-chat", "arrival": {"process": "onoff", "rate": 1, "on": "5s"}})",
              "/arrival/off: missing key"},
        Wrong{R"({"lengths": "lmsys-chat", "arrival": {"process": "onoff", "rate": 1, "on": 0, "off": 1}})",
              "/arrival/on: must be longer than 0"},
        Wrong{R"({"lengths": "lmsys-chat", "arrival": {"process": "closed"}})", "/arrival/users: missing key"},
        Wrong{R"({"lengths": "lmsys-chat", "arrival": {"process": "closed", "users": 2, "think": "-1s"}})",
              "/arrival/think: expected 0 to 9000000 s, got -1 s"},
        Wrong{R"({"lengths": "lmsys-chat", "arrival": {"process": "profile", "profile": "none.csv"}})",
              "/arrival/profile: no file \"none.csv\" in \"/nowhere\""},
        Wrong{R"({"lengths": "lmsys-chat", "window": "1..2"})", "/window: needs a trace"},
        Wrong{R"({"lengths": "lmsys-chat", "prefixes": [{"tokens": 9, "share": 0.6}, {"tokens": 9, "share": 0.5}]})",
              "/prefixes: the shares must not exceed 1 together, got 1.1"},
        Wrong{R"({"lengths": {"name": "lmsys-chat", "max_total": 100}, "prefixes": [{"tokens": 99, "share": 0.5}]})",
              "/prefixes: a prefix of 99 tokens leaves no room within max_total"},
        Wrong{R"({"lengths": "lmsys-chat", "arrival": {"rate": 0.001}})",
              "/requests: at 0.001/s these last 10000000 s, more than the 9000000 s a run can simulate"},
        Wrong{R"([])", "/: expected an object, got an array"}));

INSTANTIATE_TEST_SUITE_P(
    Trace, WorkloadMistake,
    testing::Values(
        Wrong{R"({"trace": "none.csv"})", "/trace: no file \"none.csv\" in \"/nowhere\""},
        Wrong{R"({"trace": 5})", "/trace: expected a string, got 5"},
        Wrong{
            R"({"trace": "none.csv", "lengths": "lmsys-chat", "sessions": {"turns": 1}, "scale": {"factor": 0,
                "metod": "x"}, "window": "noon", "arival": 1})",
            "/lengths: the trace has lengths of its own; only max_tokens and max_total go with it\n"
            "/scale/factor: expected a number in [1e-06, 1000000], got 0\n"
            "/scale/metod: unknown key; did you mean \"method\"?\n"
            "/window: expected a window like \"14:00..15:00\" or \"600s..1200s\", got \"noon\"\n"
            "/sessions: a trace has sessions of its own: expected \"open\" or \"closed\", got {\"turns\": 1}\n"
            "/arival: unknown key; did you mean \"arrival\"?\n"
            "/trace: no file \"none.csv\" in \"/nowhere\""},
        Wrong{R"({"trace": "none.csv", "scale": {"factor": 2, "method": "thin"}})",
              "/scale/factor: thinning keeps a fraction: expected at most 1, got 2\n/trace: no file \"none.csv\" in "
              "\"/nowhere\""}));

TEST(WorkloadMistakes, OfATraceThatIsThere) {
  Folder folder;
  folder.write("t.csv", "arrival_s,prompt_tokens,output_tokens\n0,10,1\n4,30,3\n");
  const std::string session = folder.write("s.csv", "arrival_s,prompt_tokens,output_tokens,session\n0,10,1,1\n");
  const std::string bad = folder.write("b.csv", "arrival_s,prompt_tokens,output_tokens\n0,x,1\n");
  folder.write("l.csv", "prompt_tokens,output_tokens\n5,6\n");
  const auto error = [&](const std::string& rest) {
    return error_of("{\"trace\": " + rest + "}", SearchPath{{folder.path()}});
  };
  EXPECT_EQ(error(R"("t.csv", "requests": 3)"), "/requests: the trace has 2 requests, got 3");
  EXPECT_EQ(error(R"("t.csv", "window": "5..6")"),
            "/window: no request of the trace lies in it; the trace covers 0s..4s");
  EXPECT_EQ(error(R"("t.csv", "window": "06:00..07:00")"),
            "/window: no request of the trace lies in it; the trace covers 00:00:00..00:00:04");
  EXPECT_EQ(error(R"("t.csv", "sessions": "closed")"),
            "/sessions: \"closed\" needs a trace with the columns session and think_s");
  EXPECT_EQ(error(R"("s.csv", "arrival": {"rate": 1}, "requests": 2)"),
            "/requests: a trace with sessions (1 requests) cannot be repeated");
  EXPECT_EQ(error(R"("t.csv", "arrival": {"rate": 1}, "scale": {"factor": 2})"),
            "/scale: has no meaning where \"arrival\" replaces the times");
  EXPECT_THAT(error(R"("t.csv", "arrival": {"process": "closed", "users": 1})"),
              HasSubstr("/arrival: a closed loop takes lengths from"));
  EXPECT_EQ(error(R"("b.csv")"), bad + ":2: prompt_tokens: expected a whole number in [1, 100000000], got \"x\"");
  EXPECT_EQ(error(R"("b.csv", "requets": 1)"),
            "/requets: unknown key; did you mean \"requests\"?\n" + bad +
                ":2: prompt_tokens: expected a whole number in [1, 100000000], got \"x\"");
  EXPECT_THAT(error(R"("l.csv")"), HasSubstr("l.csv:1: missing column arrival_s"));
  EXPECT_EQ(resolve(R"({"trace": "l.csv", "arrival": {"rate": 1}})", SearchPath{{folder.path()}}).requests, 1);
}

}  // namespace
}  // namespace orrery
