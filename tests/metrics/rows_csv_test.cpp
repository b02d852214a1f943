#include "sim/metrics/rows_csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

class RowsCsv : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  std::string content() const {
    std::ifstream in(path_, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }
  std::string line(std::size_t n) const {
    std::istringstream in(content());
    std::string out;
    for (std::size_t i = 0; i <= n; ++i) std::getline(in, out);
    return out;
  }
  std::string path_ = testing::TempDir() + "orrery_rows_" +
                      testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv";
};

Row done() {
  Row r;
  r.number = 7;
  r.arrival = Time{} + 1500ms;
  r.first_schedule = Time{} + 1600ms;
  r.first_token = Time{} + 2s;
  r.finish = Time{} + 3s;
  r.prompt = Tokens32{100};
  r.cached = Tokens32{16};
  r.output = Tokens32{11};
  r.station = StationId{3};
  r.tenant = 1;
  r.preemptions = 2;
  return r;
}

TEST_F(RowsCsv, ARequestThatIsDone) {
  RequestsCsv csv(path_, {.tenants = {"a", "b, \"c\""}, .pool = "chat"});
  csv.row(done());
  csv.close();
  EXPECT_EQ(line(0),
            "id,arrival_s,tenant,class,model,session,prompt_tokens,cached_tokens,output_tokens,queue_s,ttft_s,tpot_s,"
            "e2e_s,finish_s,pool,replica,decode_replica,decode_queue_s,transfer_s,load_s,migrations,preemptions,"
            "retries,qoe,status,joules,usd,grams");
  EXPECT_EQ(line(1), "7,1.5,\"b, \"\"c\"\"\",0,0,,100,16,11,0.1,0.5,0.1,1.5,3,chat,3,,,,,0,2,0,,done,,,");
}

TEST_F(RowsCsv, WhatDidNotHappenIsEmpty) {
  RequestsCsv csv(path_, {});
  Row rejected;
  rejected.number = 8;
  rejected.arrival = rejected.finish = Time{} + 2s;
  rejected.prompt = Tokens32{5};
  rejected.status = Status::kRejected;
  csv.row(rejected);
  Row open = done();
  open.finish = kNever;
  open.session = 4;
  open.status = Status::kInFlight;
  csv.row(open);
  Row one = done();
  one.output = Tokens32{1};
  csv.row(one);
  csv.close();
  EXPECT_EQ(line(1), "8,2,0,0,0,,5,0,0,,,,0,2,,,,,,,0,0,0,,rejected,,,");
  EXPECT_EQ(line(2), "7,1.5,1,0,0,4,100,16,11,0.1,0.5,,,,,3,,,,,0,2,0,,in_flight,,,");
  EXPECT_EQ(line(3), "7,1.5,1,0,0,,100,16,1,0.1,0.5,,1.5,3,,3,,,,,0,2,0,,done,,,");
}

TEST_F(RowsCsv, WhatIsKnownOfChargesHasItsField) {
  RequestsCsv csv(path_, {.pool = "chat", .joules = true, .usd = true});
  Row row = done();
  row.spent = {.energy = 1'234'567'890'123, .money = 36 * static_cast<Wide>(1'000'000'000'000'000'000), .carbon = 5};
  csv.row(row);
  csv.close();
  EXPECT_THAT(line(1), testing::EndsWith(",done,1234.56789,1e-05,"));
}

/// Every picosecond count comes back from its decimal text.
TEST_F(RowsCsv, SecondsAreExact) {
  const std::int64_t cases[] = {0, 1, 10, 999'999'999'999, 1'000'000'000'000, 1'000'000'000'001, -1'500'000'000'000,
                                9'223'372'036'854'775'807};
  const char* texts[] = {"0", "0.000000000001", "0.00000000001", "0.999999999999", "1", "1.000000000001", "-1.5",
                         "9223372.036854775807"};
  {
    CsvFile f(path_);
    for (const auto v : cases) f.seconds(v), f.end();
    f.close();
  }
  for (std::size_t i = 0; i < std::size(cases); ++i) EXPECT_EQ(line(i), texts[i]);
}

TEST_F(RowsCsv, RandomSecondsComeBack) {
  Rng rng(1, Purpose::kFuzz, 20);
  std::vector<std::int64_t> values;
  {
    CsvFile f(path_);
    for (int i = 0; i < 20000; ++i) {
      values.push_back(static_cast<std::int64_t>(rng.next() >> (1 + rng.below(60))));
      f.seconds(values.back());
      f.end();
    }
    f.close();
  }
  std::ifstream in(path_);
  std::string text;
  for (const std::int64_t v : values) {
    std::getline(in, text);
    const std::size_t dot = text.find('.');
    std::string digits = dot == std::string::npos ? "" : text.substr(dot + 1);
    digits.resize(12, '0');
    ASSERT_EQ(std::stoll(text.substr(0, dot)) * kWindow + std::stoll(digits), v) << text;
  }
}

TEST_F(RowsCsv, AWindowOfTheTimeline) {
  TimelineCsv csv(path_, {.replicas = 2, .blocks = 100, .idle_milliwatts = 50'000, .usd_per_hour = 9});
  Window w;
  w.index = 3;
  w.arrivals = 4;
  w.prompt_tokens = 300;
  w.output_tokens = 20;
  w.queued = Wide{kWindow} * 3 / 2;
  w.running = Wide{kWindow} * 6;
  w.held = Wide{kWindow} * 25;
  w.energy = 400'000'000'000;
  w.busy = kWindow / 2;
  w.ttft = {300'000'000'000, 100'000'000'000, 200'000'000'000};
  csv.window(w);
  csv.close();
  // power: 400 J of steps and 1.5 idle replicas of 50 W
  EXPECT_EQ(line(1), "3,4,1.5,6,0.25,300,20,0.2,0.3,475,2,0.0025");
}

/// Half of the time one of two replicas, which costs half as much as both, is off.
TEST_F(RowsCsv, AWindowInWhichAReplicaGoes) {
  TimelineCsv csv(path_, {.replicas = 2, .blocks = 100, .idle_milliwatts = 50'000, .usd_per_hour = 9});
  Window w;
  w.away = Wide{kWindow} / 2;
  w.saved = Wide{4'500'000'000} * kWindow / 2;
  csv.window(w);
  csv.close();
  EXPECT_EQ(line(1), "0,0,0,0,0,0,0,,,75,1.5,0.001875");
}

TEST_F(RowsCsv, AFileThatCannotBeWrittenIsAnErrorWithItsName) {
  EXPECT_THROW(
      {
        try {
          RequestsCsv csv("/no/such/folder/requests.csv", {});
        } catch (const std::runtime_error& e) {
          EXPECT_STREQ(e.what(), "/no/such/folder/requests.csv: cannot be written: No such file or directory");
          throw;
        }
      },
      std::runtime_error);
}

/// A full disk is noticed: /dev/full refuses every write.
TEST_F(RowsCsv, AFailedWriteIsThrownByClose) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  RequestsCsv csv("/dev/full", {});
  for (int i = 0; i < 20000; ++i) csv.row(done());
  EXPECT_THROW(csv.close(), std::runtime_error);
}

}  // namespace
}  // namespace orrery
