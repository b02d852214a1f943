/// /events and /scaling: what they mean, what is wrong with them, and what they do to a service.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "experiments/assembly.hpp"
#include "experiments/incidents.hpp"
#include "experiments/operations.hpp"
#include "tests/source_dir.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> errors_of(const std::string& more) {
  const std::string text = R"({"model": "llama-3.1-8b", "workload": {"arrival": {"process": "poisson", "rate": 1},
      "lengths": "azure-conv-2023", "requests": 10}, "policy": {"cluster": "shortest-queue"},
      "cluster": {"pools": [{"name": "chat", "replicas": 8}, {"name": "code", "replicas": 2, "tp": 8}]}, )" + more + "}";
  try {
    assemble({parse_json(text), {"run.json"}, "."});
    return {};
  } catch (const ConfigError& e) {
    std::vector<std::string> lines;
    std::istringstream in(e.what());
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
}

std::vector<std::string> errors_of_event(const std::string& event) { return errors_of("\"events\": [" + event + "]"); }
std::vector<std::string> errors_of_rule(const std::string& rule) { return errors_of("\"scaling\": [" + rule + "]"); }

TEST(Events, GoodOnes) {
  EXPECT_THAT(errors_of(R"("events": [
      {"at": "20min", "fail": {"pool": "chat", "nodes": 1}, "for": "15min", "detect": "10s", "start_delay": "2min"},
      {"at": "5min", "slow": {"pool": "chat", "replica": [1, 3], "factor": 1.5}, "for": "10min"},
      {"at": "5min", "network": {"pool": "code", "replicas": 2, "factor": 0.1}},
      {"at": "1h", "restart": {"pool": "chat", "at_once": 2, "drain": "2min"}, "start_delay": "60s"},
      {"every": "6h", "fail": {"pool": "code", "node": 2}, "for": "15min", "calls": "restart"}],
      "scaling": [{"pool": "chat", "rule": "hpa", "target": 4, "min": 2, "max": 8}])"), IsEmpty());
}

TEST(Events, EachMistakeHasItsPlace) {
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"pool": "chta"}})"),
              ElementsAre("/events/0/fail/pool: unknown pool \"chta\"; did you mean \"chat\"?"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {}})"), ElementsAre("/events/0/fail/pool: missing key"));
  EXPECT_THAT(errors_of_event(R"({"fail": {"pool": "chat"}})"),
              ElementsAre("/events/0/at: missing key: when it happens, or `every`, how often on average"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s"})"), ElementsAre("/events/0: says not what happens: fail, slow, network or restart"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"pool": "chat"}, "slow": {"pool": "chat"}})"),
              ElementsAre("/events/0/slow: an event is one thing; write another for this"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"pool": "chat", "replicas": 9}})"),
              ElementsAre("/events/0/fail/replicas: expected an integer in [1, 8], got 9"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"pool": "chat", "replica": [1, 8]}})"),
              ElementsAre("/events/0/fail/replica: expected an integer in [0, 7], got 8"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"pool": "chat", "node": 1}})"),   // 8 of one device: one machine
              ElementsAre("/events/0/fail/node: pool \"chat\" stands on the nodes 0 to 0, got 1"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "slow": {"pool": "chat", "factor": 0}})"),
              ElementsAre("/events/0/slow/factor: expected a number in [0.001, 1000], got 0"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "slow": {"pool": "chat"}, "detect": "1s"})"),
              ElementsAre("/events/0/detect: unknown key"));
  EXPECT_THAT(errors_of("\"events\": {}"), ElementsAre("/events: expected an array, got an object"));
}

TEST(Events, MachinesOfAllPools) {
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"node": [0, 2]}, "for": "1min"})"), IsEmpty());
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"node": 3}})"),   // one for chat, two for code
              ElementsAre("/events/0/fail/node: pools stand on the nodes 0 to 2, got 3"));
  EXPECT_THAT(errors_of_event(R"({"at": "1s", "fail": {"replica": 3}})"), ElementsAre("/events/0/fail/pool: missing key"));
}

std::vector<std::string> errors_of_network(const std::string& more) {
  const std::string text = R"({"model": "llama-3.1-8b", "workload": {"arrival": {"process": "poisson", "rate": 1},
      "lengths": "azure-conv-2023", "requests": 10}, "policy": {"cluster": "shortest-queue"},
      "cluster": {"pools": [{"name": "p", "role": "prefill"}, {"name": "d", "role": "decode"}],
                  "links": [{"from": "p", "to": "d", "bandwidth": "10GB/s"}, {"from": "p", "to": "p"}]}, )" + more + "}";
  try {
    assemble({parse_json(text), {"run.json"}, "."});
    return {};
  } catch (const ConfigError& e) {
    std::vector<std::string> lines;
    std::istringstream in(e.what());
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
}

TEST(Events, LinksMustBeThere) {
  const auto event = [](const std::string& network) {
    return errors_of_network(R"("events": [{"at": "1s", "network": )" + network + "}]");
  };
  EXPECT_THAT(event(R"({"from": "p", "to": "d", "factor": 0.5})"), IsEmpty());
  EXPECT_THAT(event(R"({"from": "d", "to": "p"})"),
              ElementsAre("/events/0/network: /cluster/links has no link from \"d\" to \"p\""));
  EXPECT_THAT(event(R"({"from": "p", "to": "dd"})"),
              ElementsAre("/events/0/network/to: unknown pool \"dd\"; did you mean \"d\"?"));
  EXPECT_THAT(event(R"({"from": "p"})"), ElementsAre("/events/0/network/to: missing key"));
  EXPECT_THAT(event(R"({"from": "p", "to": "d", "factor": 0})"),
              ElementsAre("/events/0/network/factor: expected a number in [0.001, 1], got 0"));
  EXPECT_THAT(event(R"({"from": "p", "to": "p"})"),
              ElementsAre("/events/0/network: the link has no bandwidth, of which it could lose a part"));
}

TEST(Signals, BandwidthsNameANetworkThatIsThere) {
  const auto signal = [](const std::string& bandwidth) {
    return errors_of_network("\"signals\": {\"bandwidth\": " + bandwidth + "}");
  };
  EXPECT_THAT(signal(R"([{"value": "5GB/s", "from": "p", "to": "d"}, {"value": 1e9, "pools": ["p", "d"]}])"), IsEmpty());
  EXPECT_THAT(signal(R"({"value": 1, "from": "d", "to": "p"})"),
              ElementsAre("/signals/bandwidth: /cluster/links has no link from \"d\" to \"p\""));
  EXPECT_THAT(signal(R"({"value": -1, "pools": ["p"]})"),
              ElementsAre("/signals/bandwidth/value: expected a value in [0, 1e+15], got -1"));
  EXPECT_THAT(signal(R"({"value": 1, "pools": ["q"]})"),
              ElementsAre("/signals/bandwidth/pools/0: unknown pool \"q\"; known: p, d"));
  EXPECT_THAT(signal("1"), ElementsAre("/signals/bandwidth/from: missing key", "/signals/bandwidth/to: missing key"));
  EXPECT_THAT(signal(R"([{"value": 1, "pools": ["p"]}, {"value": 1, "pools": ["d", "p"]}])"),
              ElementsAre("/signals/bandwidth/1: the same network as /signals/bandwidth/0"));
  EXPECT_THAT(signal(R"({"value": 1, "pools": ["p"], "from": "p"})"),
              ElementsAre("/signals/bandwidth/from: names a link, `pools` the networks of instances; one of them"));
}

/// The rules of signal files hold; a number may be as large as a bandwidth is.
TEST(Signals, BandwidthsOfAFile) {
  const std::string path = testing::TempDir() + "operations_test_link.csv";
  const auto errors = [&](const char* rows) {
    std::ofstream(path) << "t_s,bytes_per_s\n" << rows;
    return errors_of_network(R"("signals": {"bandwidth": {"file": ")" + path + R"(", "from": "p", "to": "d"}})");
  };
  EXPECT_THAT(errors("0,25e9\n60,0\n90,25e9\n"), IsEmpty());
  EXPECT_THAT(errors("0,25e9\n60,1e9\n30,2e9\n"),
              ElementsAre(path + ":4: t_s: must increase from row to row, got \"30,2e9\""));
  EXPECT_THAT(errors("0,25e9\n60,-1\n"),
              ElementsAre(path + ":3: bytes_per_s: expected a number in [0, 1e15], got \"60,-1\""));
}

TEST(Scaling, EachMistakeHasItsPlace) {
  EXPECT_THAT(errors_of_rule(R"({"pool": "chat", "rule": "targt"})"),
              ElementsAre("/scaling/0/rule: unknown scaling \"targt\"; did you mean \"target\"?"));
  EXPECT_THAT(errors_of_rule(R"({"pool": "chat", "rule": "target", "above": 3})"),
              ElementsAre("/scaling/0/above: unknown key"));
  EXPECT_THAT(errors_of_rule(R"({"pool": "chat", "min": 5, "max": 4})"), ElementsAre("/scaling/0/min: is above `max`"));
  EXPECT_THAT(errors_of_rule(R"({"pool": "chat"}, {"pool": "chat"})"),
              ElementsAre("/scaling/1/pool: another rule scales this pool"));
  EXPECT_THAT(errors_of_rule(R"({"pool": "chat", "rule": "schedule", "times": [0, 60], "instances": [1]})"),
              ElementsAre("/scaling/0/instances: needs as many entries as `times`"));
  EXPECT_THAT(errors_of_rule(R"({"pool": "chat", "rule": "threshold", "above": 1, "below": 2})"),
              ElementsAre("/scaling/0/below: must not be above `above`"));
}

std::vector<std::string> errors_of_lifecycle(const std::string& life, const std::string& policy,
                                             const std::string& more = "") {
  const std::string text = R"({"model": "llama-3.1-8b", "workload": {"arrival": {"process": "poisson", "rate": 1},
      "lengths": "azure-conv-2023", "requests": 10}, "policy": {"cluster": ")" + policy + R"("},
      "cluster": {"pools": [{"name": "chat", "replicas": 8, "lifecycle": )" + life + "}]}" + more + "}";
  try {
    assemble({parse_json(text), {"run.json"}, "."});
    return {};
  } catch (const ConfigError& e) { return {e.what()}; }
}

/// Who starts and drains instances is said once.
TEST(Lifecycles, WhatNobodyWouldCarryOutIsRefused) {
  const std::string kept = R"({"min": 1, "keep_alive": "60s", "engine_init": "30s"})";
  EXPECT_THAT(errors_of_lifecycle(kept, "shortest-queue"), IsEmpty());
  EXPECT_THAT(errors_of_lifecycle(R"({"min": 1})", "shortest-queue"),
              ElementsAre("/cluster/pools/0/lifecycle/min: counts with keep_alive; instances that nobody drains stay"));
  EXPECT_THAT(
      errors_of_lifecycle(kept, "shortest-queue", R"(, "scaling": [{"rule": "target"}])"),
      ElementsAre("/cluster/pools/0/lifecycle/keep_alive: a rule of /scaling starts and drains the instances of "
                  "this pool already"));
  EXPECT_THAT(errors_of_lifecycle(kept, "shortest-queue", R"(, "signals": {"capacity": {"rows": ["0,add,4"]}})"),
              ElementsAre("/cluster/pools/0/lifecycle/keep_alive: instances of this pool stand on nodes of "
                          "/signals/capacity, and go with them"));
}

Row answered(Time arrival, Duration ttft) {
  Row r;
  r.arrival = arrival;
  r.first_token = r.finish = arrival + ttft;
  r.output = Tokens32{1};
  return r;
}

/// Ten requests in each window of 10 s; those of 35 s to 75 s are late. The incident at 32 s cost the five windows from
/// 30 s on that have a late one, and the service is back at 80 s, 48 s after it.
TEST(Incidents, HarmIsFromTheIncidentUntilThirtyGoodSeconds) {
  IncidentMeter meter({{Metric::kTtft, 99, 1s, -1}}, nullptr);
  for (int i = 0; i < 200; ++i) {
    const Time arrival = Time{} + i * 1s;
    meter.row(answered(arrival, i >= 35 && i < 75 ? 2s : 100ms));
  }
  const auto harm = meter.harm(Time{} + 32s);
  EXPECT_EQ(harm.recovery, IncidentMeter::Recovery::kSeen);
  EXPECT_EQ(harm.after, 48s);
  EXPECT_EQ(harm.missed, 40);
  EXPECT_EQ(harm.bad, 50s);   // 30-40, 40-50, 50-60, 60-70, 70-80
  EXPECT_EQ(meter.harm(Time{} + 100s).after, 0s);
  EXPECT_EQ(meter.harm(Time{} + 100s).missed, 0);
}

TEST(Incidents, AServiceThatIsBadToTheEndHasNotRecovered) {
  IncidentMeter meter({}, nullptr);
  for (int i = 0; i < 100; ++i) {
    Row r = answered(Time{} + i * 1s, 1s);
    if (i >= 50) r.status = Status::kTimedOut;
    meter.row(r);
  }
  EXPECT_EQ(meter.harm(Time{} + 45s).recovery, IncidentMeter::Recovery::kNot);
  EXPECT_EQ(meter.harm(Time{} + 45s).missed, 50);
}

/// Windows until 200 s, the bad ones from 150 s to 180 s: two good ones follow, and nobody knows what the third would
/// be.
TEST(Incidents, ARunThatEndsTooEarlyDoesNotSayWhetherTheServiceRecovered) {
  IncidentMeter meter({{Metric::kTtft, 99, 1s, -1}}, nullptr);
  for (int i = 0; i < 200; ++i) meter.row(answered(Time{} + i * 1s, i >= 150 && i < 180 ? 2s : 100ms));
  const auto harm = meter.harm(Time{} + 150s);
  EXPECT_EQ(harm.recovery, IncidentMeter::Recovery::kNotSeen);
  EXPECT_EQ(harm.missed, 30);
  EXPECT_EQ(meter.harm(Time{} + 185s).recovery, IncidentMeter::Recovery::kNotSeen);   // nothing bad, for 20 s
  EXPECT_EQ(meter.harm(Time{} + 500s).recovery, IncidentMeter::Recovery::kNotSeen);   // nobody asks any more
  for (int i = 200; i < 210; ++i) meter.row(answered(Time{} + i * 1s, 100ms));
  EXPECT_EQ(meter.harm(Time{} + 150s).recovery, IncidentMeter::Recovery::kSeen);
  EXPECT_EQ(meter.harm(Time{} + 150s).after, 30s);
}

TEST(Incidents, ReplicationsAddUpByEvent) {
  const auto incident = [](int event, const char* recovered, const char* after, int hurt) {
    return R"({"event": )" + std::to_string(event) + R"(, "what": "fail", "pool": "main", "instances": 2, "at_s": 5,
        "detect_s": 1, "restored_s": null, "recovered": ")" + recovered + R"(", "recovered_s": )" + after +
           R"(, "requests_hurt": )" + std::to_string(hurt) + R"(, "requests_missed": 10, "slo_minutes_lost": 0.5})";
  };
  const Value first = parse_json("[" + incident(1, "yes", "20", 3) + "," + incident(0, "no", "null", 1) + "]"),
              second = parse_json("[" + incident(1, "yes", "60", 4) + "," + incident(1, "not seen", "null", 5) + "]");
  const Value t = incident_totals({first, second, Value::array()});
  ASSERT_EQ(t.items().size(), 2U);
  EXPECT_EQ(to_json(t.items()[1], -1),
            R"({"event": 1, "what": "fail", "pool": "main", "count": 3, "instances": 6, "requests_hurt": 12, )"
            R"("requests_missed": 30, "slo_minutes_lost": 1.5, "detect_s": {"count": 3, "mean": 1.0, "max": 1.0}, )"
            R"("restored_s": {"count": 0}, "recovered_s": {"count": 2, "mean": 40.0, "max": 60.0}, )"
            R"("recovered": {"yes": 2, "no": 0, "not_seen": 1}})");
  EXPECT_EQ(t.items()[0].at("count").as_int(), 1);
  EXPECT_EQ(t.items()[0].at("recovered").at("no").as_int(), 1);
}

struct Storm {
  std::int64_t done = 0;
  double recovered = -1;
};

Storm storm(const std::vector<std::string>& sets) {
  const Assembly a = assemble(load_document(source_dir("/experiments/examples/retry-storm.json"), sets));
  const Replication r = replicate(a, 1, {});
  EXPECT_EQ(r.outcome.summary.broken, std::vector<std::string>{});
  const Value& i = r.incidents.items().front();
  return {r.outcome.summary.requests[static_cast<std::size_t>(Status::kDone)],
          i.at("recovered_s").is_null() ? -1 : i.at("recovered_s").as_double()};
}

/// Three immediate retries keep the overload alive that a failure of a minute began; with back-off and a queue limit it
/// ends soon after the replicas are back (90 s). Back-off alone does not do, and without the failure nothing happens.
TEST(RetryStorm, EndsWithBackOffAndAQueueLimit) {
  const std::string backoff = "/classes/chat/retry/backoff=10s",
                    limit = R"(/policy/admission={"name": "queue-limit", "max_waiting": 16})";
  const Storm raging = storm({}), waiting = storm({backoff}), calmed = storm({backoff, limit});
  EXPECT_EQ(raging.recovered, -1);
  EXPECT_LT(raging.done, 20000);
  EXPECT_EQ(waiting.recovered, -1);
  EXPECT_GT(calmed.recovered, 89);
  EXPECT_LT(calmed.recovered, 240);
  EXPECT_GT(calmed.done, 39000);
  const Assembly peace = assemble(load_document(source_dir("/experiments/examples/retry-storm.json"), {"/events=[]"}));
  EXPECT_EQ(replicate(peace, 1, {}).outcome.summary.requests[static_cast<std::size_t>(Status::kDone)], 40000);
}

/// The same seed and events, fast-forwarded or stepped.
TEST(Operations, TheExampleIsTheSameStepByStep) {
  const Assembly a =
      assemble(load_document(source_dir("/experiments/examples/operations.json"), {"/workload/requests=40000"}));
  Watch stepped;
  stepped.fast_forward = false;
  EXPECT_EQ(replicate(a, 1, {}).outcome.fingerprint, replicate(a, 1, stepped).outcome.fingerprint);
}

}  // namespace
}  // namespace orrery
