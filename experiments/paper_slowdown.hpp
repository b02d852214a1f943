/// How much slower requests are than the same requests alone on a reference deployment (Splitwise, ISCA'24, section
/// V-B): each request of a run is compared with itself in a run in which the requests come one at a time.
///
///   RequestTimes alone, loaded;                         // row sinks of two runs of the same workload
///   Value v = slowdowns(loaded, alone, slo, warmup_s);  // {"ttft": {"p50", "p90", "p99"}, "tpot", "e2e", "worst"}
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "sim/metrics/row.hpp"

namespace orrery {

struct PaperSlowdown {
  std::string alone;                      ///< config of the reference deployment; "" : slowdowns are not asked for
  std::array<std::array<double, 3>, 3> limits{};  ///< ttft, tpot, e2e; at their 50th, 90th and 99th percentile
};

/// `document` with its requests one at a time: one every 200 s. RequestTimes::overlap() says whether that was enough.
Value one_at_a_time(Value document);

/// Times of every request of a run, by number. 32 B a request.
class RequestTimes final : public RowSink {
 public:
  struct Times {
    double arrival = 0;
    std::array<double, 3> seconds{};      ///< ttft, tpot, e2e; tpot 0: one token
    bool done = false;
  };
  void row(const Row& r) override;
  bool overlap() const;                   ///< did a request come before the one before it was done?
  const std::vector<Times>& times() const { return times_; }

 private:
  std::vector<Times> times_;
};

/// Of requests that arrive after the warm-up. One that is not done is infinitely slow. `worst`: the largest of the nine
/// percentiles over their limits, at most 1 where all hold.
Value slowdowns(const RequestTimes& loaded, const RequestTimes& alone, const PaperSlowdown& slo, double warmup_s);

}  // namespace orrery
