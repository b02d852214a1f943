/// A trace as a source of requests: window, scale, new arrival times, limits and prefixes applied on the way, one row
/// at a time. Sessions keep their history as segments (turn k's prompt begins with the earlier prompts and answers,
/// where the trace's token counts allow it).
///
///   TraceSource source(TraceReader::open("prod.csv"), rules, seed);
///
/// Memory: one row, one entry a session, and while `resample` copies wait for their time those copies (one minute's).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/request.hpp"
#include "traces/arrival.hpp"
#include "traces/lengths.hpp"
#include "traces/prefix.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {

enum class ScaleMethod {
  kResample,   ///< `factor` copies of each request (session) on average; all but the first come up to a minute later
  kSpeedup,    ///< all times divided by `factor`
};

struct TraceRules {
  Time from{}, to = kNever;                   ///< rows in [from, to) of the trace's clock; time 0 of the run is `from`
  double factor = 1;
  ScaleMethod method = ScaleMethod::kResample;
  std::int64_t requests = -1;                 ///< at most; -1: the whole trace
  LengthRules lengths;
  bool histories = true;                      ///< sessions as segments; off while a closed source collects rows
  std::vector<DeclaredPrefix> prefixes;       ///< part of the trace's prompts; a shorter prompt goes without
};

/// A copy made by resampling arrives up to this long after its original.
inline constexpr Duration kResampleSpread = 60s;

class TraceSource final : public RequestSource {
 public:
  /// With `arrivals` the trace gives lengths and order only, and starts again when `requests` asks for more.
  TraceSource(TraceReader reader, TraceRules rules, std::unique_ptr<ArrivalProcess> arrivals, std::uint64_t seed);

  Time peek() const override { return arrival_; }
  void pop(Request& out) override {
    Duration think;
    pop(out, think);
  }
  /// The same with the think time of the row (-1: not stated), for closed sessions.
  void pop(Request& out, Duration& think);
  bool wants_done() const override { return false; }
  std::int64_t size_hint() const override { return rules_.requests < 0 ? -1 : rules_.requests - popped_; }

 private:
  /// A resampled request that waits for its time; `order` decides equal times.
  struct Copy {
    TraceRow row;
    std::vector<Segment> segments;
    std::uint64_t entity = 0, order = 0;
  };
  struct Later {
    bool operator()(const std::unique_ptr<Copy>& a, const std::unique_ptr<Copy>& b) const {
      const Time x = a->row.request.arrival, y = b->row.request.arrival;
      return x != y ? x > y : a->order > b->order;
    }
  };

  void advance();                             ///< row_ becomes the next row of the window, null at the end
  void find_next();                           ///< sets arrival_
  void resample();                            ///< copies rows until the earliest copy is certain
  void add_copy(std::int64_t copy);
  Time run_time(Time on_trace) const;
  void hand_out(const TraceRow& row, std::uint64_t entity, Request& out);

  TraceReader reader_;
  TraceRules rules_;
  std::unique_ptr<ArrivalProcess> arrivals_;
  std::uint64_t seed_;
  Lengths lengths_;
  DeclaredPrefixes prefixes_;
  bool resamples_, limits_;
  std::int64_t popped_ = 0;
  std::uint64_t lap_ = 0, order_ = 0;
  const TraceRow* row_ = nullptr;
  Time arrival_ = kNever;
  std::vector<Segment> segments_;             ///< of the request handed out last
  std::vector<std::unique_ptr<Copy>> waiting_;   ///< a heap by Later
  std::unordered_map<std::uint64_t, std::uint32_t> copied_sessions_;   ///< (session, copy) to its new name
  std::unordered_map<std::uint32_t, History> sessions_;
};

/// A trace whose sessions are closed loops: turn k + 1 arrives its think_s after turn k left the system; arrival_s
/// rules for first turns and requests without a session. All rows are kept in memory.
class ClosedTraceSource final : public RequestSource {
 public:
  /// Takes all of `rows`, which was made without histories.
  explicit ClosedTraceSource(TraceSource rows);

  Time peek() const override;
  void pop(Request& out) override;
  void on_done(const Request& request, Time now) override;
  std::int64_t size_hint() const override { return static_cast<std::int64_t>(rows_.size()) - popped_; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffffu;
  struct Row {
    Request request;                          ///< without its segments
    Duration think, deadline_after;
    std::size_t first_segment, segments;      ///< in segments_
    std::uint32_t next = kNone;               ///< row of the session's next turn
  };
  struct Due {
    Time arrival;
    std::uint32_t row;
    friend bool operator>(const Due& a, const Due& b) {
      return a.arrival != b.arrival ? a.arrival > b.arrival : a.row > b.row;
    }
  };

  std::vector<Row> rows_;
  std::vector<Segment> segments_;             ///< of all rows
  std::unordered_map<std::uint32_t, History> sessions_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::unordered_map<std::uint64_t, std::uint32_t> in_service_;   ///< request number to row
  std::int64_t popped_ = 0;
};

}  // namespace orrery
