/// Keys that somebody has put in the wrong object: the message names the right one.
#include "experiments/key_places.hpp"

#include <gtest/gtest.h>

#include "experiments/schema.hpp"
#include "policies/register.hpp"
#include "sim/config/reader.hpp"

namespace orrery {
namespace {

std::string place(std::string_view pointer, std::string_view key) {
  return place_of_key(run_schema(shipped_policies()), pointer, key);
}

TEST(KeyPlaces, TheNearestObjectThatKnowsTheKey) {
  EXPECT_EQ(place("", "tp"), "/cluster/tp");
  EXPECT_EQ(place("", "replicas"), "/cluster/replicas");
  EXPECT_EQ(place("", "rate"), "/workload/arrival/rate");
  EXPECT_EQ(place("/workload", "rate"), "/workload/arrival/rate");
  EXPECT_EQ(place("", "max_running"), "/policy/batching/max_running");
  EXPECT_EQ(place("/policy", "token_budget"), "/policy/batching/token_budget");
  EXPECT_EQ(place("/engine", "hardware"), "/hardware");
}

TEST(KeyPlaces, MembersOfListsKeepTheirNumber) {
  EXPECT_EQ(place("/cluster/pools/3", "token_budget"), "/cluster/pools/3/policy/batching/token_budget");
  EXPECT_EQ(place("/cluster/pools/3/policy/batching", "tp"), "/cluster/pools/3/tp");
}

TEST(KeyPlaces, OtherProgramsNames) {
  EXPECT_EQ(place("", "qps"), "/workload/arrival/rate");
  EXPECT_EQ(place("", "tensor_parallel_size"), "/cluster/tp");
}

TEST(KeyPlaces, NothingIsInventedForAKeyThatNobodyHas) { EXPECT_EQ(place("", "flux_capacitor"), ""); }

/// What is a slip of the pen, or another program's name, in the object itself comes before other objects.
TEST(KeyPlaces, TheObjectItselfComesFirst) {
  const auto message = [](const std::string& key) {
    ErrorList errors;
    errors.elsewhere = [](std::string_view, std::string_view) { return std::string("/elsewhere"); };
    Value object = Value::object();
    object[key] = Value(1);
    ObjectReader reader(object, errors, "/here");
    reader.take("replicas");
    reader.finish();
    return errors.lines().at(0);
  };
  EXPECT_EQ(message("replica"), "/here/replica: unknown key; did you mean \"replicas\"?");
  EXPECT_EQ(message("num_gpus"), "/here/num_gpus: unknown key; did you mean \"replicas\"?");
  EXPECT_EQ(message("rate"), "/here/rate: unknown key; did you mean /elsewhere?");
}

/// Even if the object has that key already, and if only a part of its name was written.
TEST(KeyPlaces, AKeyThatIsGivenIsStillWhatWasMeant) {
  const auto message = [](const std::string& key) {
    ErrorList errors;
    errors.elsewhere = [](std::string_view, std::string_view) { return std::string("/elsewhere"); };
    Value object = Value::object();
    object["ttft_p99"] = object["token_budget"] = object["replicas"] = Value(1);
    object[key] = Value(1);
    ObjectReader reader(object, errors, "/here");
    for (const auto* known : {"ttft_p99", "token_budget", "replicas", "serving"}) reader.take(known);
    reader.finish();
    return errors.lines().at(0);
  };
  EXPECT_EQ(message("ttft"), "/here/ttft: unknown key; did you mean \"ttft_p99\"?");
  EXPECT_EQ(message("budget"), "/here/budget: unknown key; did you mean \"token_budget\"?");
  EXPECT_EQ(message("replica"), "/here/replica: unknown key; did you mean \"replicas\"?");
  EXPECT_EQ(message("gpus"), "/here/gpus: unknown key; did you mean \"replicas\"?");
  EXPECT_EQ(message("role"), "/here/role: unknown key; did you mean /elsewhere?");
}

}  // namespace
}  // namespace orrery
