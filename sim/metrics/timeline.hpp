/// The timeline: one line a second of simulated time (`timeline.csv`, DESIGN section 4), built from the recorder's
/// calls and handed out window by window. A window is complete when no step that began before its end is still running;
/// so memory is the windows that running steps reach back to, not the length of the run.
///
/// Tokens count where their iteration ends; energy and busy time are spread evenly over each iteration; sums over the
/// windows are exact. `queued` and `running` are time averages; kv_used_fraction spreads a run's growth evenly.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/call.hpp"
#include "sim/cost.hpp"

namespace orrery {

inline constexpr std::int64_t kWindow = 1'000'000'000'000;  ///< ps

/// One window; a rate's numerator where the window is a second.
struct Window {
  std::int64_t index = 0;                   ///< it covers [index, index + 1) s
  std::int64_t arrivals = 0;
  std::int64_t prompt_tokens = 0, output_tokens = 0;
  Wide queued = 0, running = 0;             ///< calls * ps
  Wide held = 0;                            ///< KV blocks * ps, all stations
  std::int64_t energy = 0;                  ///< nJ of steps
  std::int64_t busy = 0;                    ///< ps, all stations
  std::vector<std::int64_t> ttft;           ///< ps, of the first tokens in it; unsorted
};

/// Receives finished windows in order, with none left out. The reference is valid during the call.
class TimelineSink {
 public:
  virtual ~TimelineSink() = default;
  virtual void window(Window& window) = 0;
};

class Timeline {
 public:
  Timeline(TimelineSink& sink, int stations, int lanes);

  void arrival(Time now) { ++at(now).arrivals; }
  void first_token(Time now, Duration ttft) { at(now).ttft.push_back(to_ps(ttft)); }
  void waiting(Time now, std::int32_t delta);
  void begin(StationId station, int lane, Time start) { open_[index(station, lane)] = to_ps(start); }
  void step(StationId station, int lane, Time start, Time end, std::int64_t k, std::int64_t prompt,
            std::int64_t output, std::int64_t sequences, const StepRun& run);
  /// Energy and busy time of a stage of a step.
  void stage(Time start, Time end, std::int64_t k, const StepRun& run);
  /// A station held `blocks` during [since, now).
  void held(Time since, Time now, Blocks blocks);
  /// Hands out everything until `end`.
  void finish(Time end);

 private:
  static constexpr std::int64_t kClosed = INT64_MAX;
  std::size_t index(StationId s, int lane) const {
    return static_cast<std::size_t>(s.index) * static_cast<std::size_t>(lanes_) + static_cast<std::size_t>(lane);
  }
  Window& at(Time now) { return window(to_ps(now) / kWindow); }
  Window& window(std::int64_t index);
  void hand_out(std::int64_t before);       ///< windows that end at or before this instant (ps)
  void queued_until(Time now);
  /// Calls visit(window, begin, end) for the part of [begin, end) in each window.
  template <class Visit>
  void split(std::int64_t begin, std::int64_t end, Visit visit);

  TimelineSink* sink_;
  int lanes_;
  std::vector<std::int64_t> open_;          ///< start of the running step by station and lane; kClosed: none
  std::deque<Window> windows_;              ///< consecutive; the first is first_
  std::int64_t first_ = 0;
  std::int64_t queued_ = 0;
  Time queued_since_{};
};

}  // namespace orrery
