/// The timeline: one line a second of simulated time (`timeline.csv`, DESIGN section 4), built from the recorder's
/// calls and handed out window by window. A window is complete when no step that began before its end is still running;
/// so memory is the windows that running steps reach back to, not the length of the run.
///
/// Tokens count where their iteration ends; energy and busy time are spread evenly over each iteration; `queued`,
/// `running` and held blocks are integrals over time, where the growth of a run is spread evenly over it. Sums over
/// the windows are exact. Calls come in the order of time. O(1) a call, plus the windows that a step crosses.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/call.hpp"
#include "sim/cost.hpp"

namespace orrery {

inline constexpr std::int64_t kWindow = 1'000'000'000'000;  ///< ps

/// How many of k iterations have ended `after` their start: the largest j <= k with run.total(j) <= after.
inline std::int64_t iterations_within(const StepRun& run, std::int64_t k, Duration after) {
  std::int64_t low = 0, high = k;
  while (low < high) {
    const std::int64_t mid = (low + high + 1) / 2;
    if (run.total(mid) <= after) low = mid; else high = mid - 1;
  }
  return low;
}

/// One window, [index, index + 1) s.
struct Window {
  std::int64_t index = 0;
  std::int64_t arrivals = 0;
  std::int64_t prompt_tokens = 0, output_tokens = 0;  ///< computed, delivered
  Wide queued = 0, running = 0;             ///< calls * ps
  Wide held = 0;                            ///< KV blocks * ps, all stations
  Wide away = 0, saved = 0;                 ///< stations that are off: * ps; what all cost less, 1e-9 $/h * ps
  std::int64_t energy = 0;                  ///< nJ of steps
  std::int64_t busy = 0;                    ///< ps, all stations and stages
  std::vector<std::int64_t> ttft{};         ///< ps, of the first tokens in it; unsorted
};

/// Receives finished windows in order, none left out. The reference is valid during the call; ttft may be reordered.
class TimelineSink {
 public:
  virtual ~TimelineSink() = default;
  virtual void window(Window& window) = 0;
};

class Timeline {
 public:
  Timeline(TimelineSink& sink, int stations, int lanes);

  void arrival(Time now) {
    advance(now);
    ++windows_.back().arrivals;
  }
  void first_token(Time now, Duration ttft) {
    advance(now);
    windows_.back().ttft.push_back(to_ps(ttft));
  }
  /// The queues of all stations have `delta` calls more.
  void waiting(Time now, std::int32_t delta) {
    advance(now);
    queued_ += delta;
  }
  /// Calls hold `delta` blocks more.
  void held(Time now, Blocks delta) {
    advance(now);
    held_ += delta.value();
  }
  /// `delta` stations more are off, and all cost `price` (1e-9 $/h) less together.
  void away(Time now, std::int32_t delta, std::int64_t price) {
    advance(now);
    away_ += delta;
    saved_ += price;
  }
  /// During a step that ends now, `growth` blocks were taken bit by bit (held() follows with the whole).
  void grown(Time start, Time end, Blocks growth);
  void begin(StationId station, int lane, Time start) { open_[index(station, lane)] = to_ps(start); }
  /// A further pipeline stage of a step; counted when the step has ended.
  void stage(Time start, Time end, std::int64_t k, const StepRun& run) { stages_.push_back({start, end, k, run}); }
  /// A step has ended now. Its lane is idle until begin().
  void step(StationId station, int lane, Time start, Time end, std::int64_t k, std::int64_t prompt,
            std::int64_t output, std::int64_t sequences, const StepRun& run);
  /// The step of a lane stopped before its end; `energy` was spent since `start`.
  void abort(StationId station, int lane, Time start, Time now, std::int64_t energy);
  /// Hands out everything until `end`.
  void finish(Time end);

 private:
  struct Stage {
    Time start, end;
    std::int64_t k;
    StepRun run;
  };
  static constexpr std::int64_t kClosed = INT64_MAX;
  std::size_t index(StationId s, int lane) const {
    return static_cast<std::size_t>(s.index) * static_cast<std::size_t>(lanes_) + static_cast<std::size_t>(lane);
  }
  std::int64_t next_edge() const { return (windows_.back().index + 1) * kWindow; }
  void advance(Time now) {
    while (to_ps(now) >= next_edge()) cross_edge();
    integrate(to_ps(now));
  }
  void integrate(std::int64_t until) {
    windows_.back().queued += static_cast<Wide>(queued_) * (until - since_);
    windows_.back().held += static_cast<Wide>(held_) * (until - since_);
    windows_.back().away += static_cast<Wide>(away_) * (until - since_);
    windows_.back().saved += static_cast<Wide>(saved_) * (until - since_);
    since_ = until;
  }
  void cross_edge();
  void spread(const Stage& stage);          ///< energy and busy time
  void hand_out(std::int64_t until);        ///< windows that end at or before this instant, but the newest
  /// Calls visit(window, a, b) for the part [a, b) of [begin, end) in each window; times in ps, after begin.
  template <class Visit>
  void split(Time begin, Time end, Visit visit);

  TimelineSink* sink_;
  int lanes_;
  std::vector<std::int64_t> open_;          ///< start of the running step by station and lane; kClosed: none
  std::vector<Stage> stages_;               ///< of running steps
  std::deque<Window> windows_;              ///< consecutive, never empty; the newest holds the present
  std::int64_t since_ = 0;                  ///< until when the levels are integrated
  std::int64_t queued_ = 0, held_ = 0, away_ = 0, saved_ = 0;
};

}  // namespace orrery
