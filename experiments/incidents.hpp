/// What incidents did to the service: from the rows of the requests, by when they were asked for.
///
/// Time is cut into windows of 10 s. A window is bad if a smaller share of its requests is good than the service level
/// asks for (the largest percentile of its limits; 99 % without limits, and then a request is good if it was answered);
/// one without requests is not bad. The service has recovered where the first three windows in a row begin, from the
/// incident on, that are not bad: after 0 s if nobody noticed it. Minutes lost and requests missed are those of the bad
/// windows before that, so they are part of what comes of an overload that the incident began, and of one that was
/// there. A run whose last windows are good, and fewer than three, has not shown whether the service has recovered.
///
///   IncidentMeter meter(slo, next);    rows -> meter;    meter.results(operations, incidents, pools)
///
/// Memory: 16 bytes a window. All requests count, those of the warm-up too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "sim/engine/operations.hpp"
#include "sim/metrics/row.hpp"
#include "sim/metrics/summary.hpp"

namespace orrery {

class IncidentMeter final : public RowSink {
 public:
  static constexpr Duration kWindow = 10s;
  static constexpr int kWindowsToRecover = 3;

  /// Rows are passed on to `next`, which may be null.
  IncidentMeter(std::vector<SloLimit> slo, RowSink* next);
  void row(const Row& row) override;
  enum class Recovery : std::uint8_t { kSeen, kNot, kNotSeen };   ///< kNot: the last window is bad
  /// Of the bad windows from `at` until the service has recovered, or the last arrival.
  struct Harm {
    Recovery recovery = Recovery::kNotSeen;
    Duration after{};             ///< if it is seen
    std::int64_t missed = 0;
    Duration bad{};
  };
  Harm harm(Time at) const;

 private:
  struct Window { std::int64_t offered = 0, good = 0; };
  bool good(const Row& row) const;
  bool bad(std::size_t window) const;
  std::vector<SloLimit> slo_;
  double share_ = 0.99;
  RowSink* next_;
  std::vector<Window> windows_;
};

/// For summary.json: one entry an incident, in order of time.
Value incident_results(const std::vector<Operation>& operations, const std::vector<Incident>& incidents,
                       const std::vector<std::string>& pools, const IncidentMeter& meter);

/// Several replications' results together, one entry an event that happened: counts and sums over all, means and maxima
/// of the times that are known, and how often the service recovered, did not, or the run ended before that was seen.
Value incident_totals(const std::vector<Value>& replications);

}  // namespace orrery
