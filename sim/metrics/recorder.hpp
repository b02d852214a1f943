/// The recorder: everything the result says about a run, from calls that the engine makes as things happen. Memory is
/// independent of the number of requests; a request costs about 40 ns, a step about 10 ns, whatever its iterations.
///
/// Calls come in the order of simulated time (`now` never decreases); a step is reported once, when it ends, with the
/// number of iterations that it really ran. All sums are exact integers, and the same with fast-forward on and off.
///
///   Recorder recorder({.stations = 2, .seed = 1, .slo = {{Metric::kTtft, 99, 500ms}}, .rows = &csv});
///   recorder.on_arrival(now, request);   recorder.on_step(...);   recorder.on_row(row);
///   Summary s = recorder.finish(end);    // throws nothing; s.broken names broken identities (identities.hpp)
///
/// Epochs. The arrivals are divided into 16 to 32 epochs of equal numbers of requests (merged in pairs as the run
/// grows), each with its own histograms. A warm-up given as a time starts a new epoch there; `auto` chooses at the end
/// how many epochs to cut (Summary::warmup_rule), of those before load or service change by plan. Per-request metrics
/// belong to the epoch of the arrival; gaps between tokens (ITL) and rates belong to the time at which they end.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/cost.hpp"
#include "sim/metrics/histogram.hpp"
#include "sim/metrics/identities.hpp"
#include "sim/metrics/row.hpp"
#include "sim/metrics/step_times.hpp"
#include "sim/metrics/summary.hpp"
#include "sim/metrics/timeline.hpp"
#include "sim/metrics/ttft_parts.hpp"
#include "sim/plan.hpp"
#include "sim/request.hpp"

namespace orrery {

/// What one station is, where they differ.
struct StationSpec {
  Tokens block_tokens{16};
  Blocks blocks{};
  int stages = 1;
  double peak_flops = 0, peak_bytes = 0;
  const CostModel* cost = nullptr;        ///< as RecorderConfig::cost
  std::int64_t idle_milliwatts = 0;
  double usd_per_hour = 0;
};

struct RecorderConfig {
  int stations = 1;
  int stages = 1;                         ///< pipeline stages of each station; busy time is the mean over them
  std::uint64_t seed = 0;                 ///< for messages
  Tokens block_tokens{16};
  Blocks blocks{};                        ///< KV blocks of one station
  std::optional<Duration> warmup{};       ///< none: auto
  Time steady_until = kNever;  ///< load or service change by plan from then on: `auto` looks at nothing later
  bool exact = false;                     ///< keep every value
  int classes = 1;
  std::vector<SloLimit> slo{};
  double peak_flops = 0, peak_bytes = 0;  ///< of one station, a second; 0: no MFU, MBU
  const CostModel* cost = nullptr;        ///< not owned; tells collectives and swapping apart (step_times.hpp)
  std::int64_t idle_milliwatts = 0;       ///< of one station while it runs nothing
  double usd_per_hour = 0;                ///< of all stations
  double usd_per_node_hour = 0;           ///< of one node of a capacity trace; then instances cost nothing besides
  std::vector<StationSpec> specs{};       ///< by station; empty: all as the fields above say
  RowSink* rows = nullptr;                ///< not owned
  TimelineSink* timeline = nullptr;       ///< not owned
};

/// KV memory of one station at an instant. Slots = blocks * block_tokens; what is neither used nor reserved of the held
/// slots is internal fragmentation.
struct KvUse {
  Blocks held;       ///< in leases of calls; blocks of a shared prefix once
  Tokens used;       ///< of them: tokens whose KV exists; a shared prefix once
  Tokens reserved;   ///< of them: empty slots that the calls will still fill (up to their final length)
  Blocks external;   ///< free, but in runs too small for the call at the head of the queue (contiguous only)
};

/// Why a station or call stood still. kPreempted: a call whose KV was dropped or swapped, from its last token until it
/// decodes again.
enum class Stall : std::uint8_t { kTransfer, kPreempted };

class Recorder {
 public:
  explicit Recorder(RecorderConfig config);
  ~Recorder();

  // Requests.
  void on_arrival(Time now, const Request& request);
  /// The request left at row.finish (= now), or the run ended with it in flight.
  void on_row(const Row& row);
  /// An attempt has ended whose client tries again: its tokens count, the request goes on.
  void on_attempt(const Row& attempt);
  /// Calls entered (delta > 0) or left the waiting queues of stations. For the verdict and the timeline.
  void on_waiting(Time now, std::int32_t delta) {
    wait(now, delta);
    if (timeline_) timeline_->waiting(now, delta);
  }
  /// A station is there from now on, or is not. For the timeline; stations are there at first.
  void on_presence(Time now, StationId station, bool there) {
    if (!timeline_) return;
    Paid& p = paid_[static_cast<std::size_t>(station.index)];
    p.there = there;
    timeline_->away(now, there ? -1 : 1, there ? -p.price : p.price);
  }
  /// A station costs so much from now on, 1e-9 USD an hour. For the timeline.
  void on_price(Time now, StationId station, std::int64_t price) {
    if (!timeline_) return;
    Paid& p = paid_[static_cast<std::size_t>(station.index)];
    if (p.there) timeline_->away(now, 0, p.price - price);
    p.price = price;
  }
  /// A node of the capacity trace is there from now on, or is not; none is at first. For the timeline.
  void on_node(Time now, bool there) {
    const auto price = static_cast<std::int64_t>(config_.usd_per_node_hour * 1e9 + 0.5);
    if (timeline_ && price > 0) timeline_->away(now, 0, there ? -price : price);
  }
  /// For the timeline; a no-op without one.
  void on_first_token(Time now, Time arrival) {
    if (timeline_) timeline_->first_token(now, now - arrival);
  }
  /// A call left its batch before it was done; `undone` tokens computed since its admission are lost (0 for a swap).
  void on_departure(Leave how, Tokens undone);
  /// Of the tokens that steps computed, these had been computed before, by a call that still holds them.
  void on_recomputed(Tokens tokens) { recomputed_ += tokens.value(); }

  // Steps.
  /// A step starts. For the timeline, which keeps windows open for it; a no-op without one.
  void on_begin(StationId station, int lane, Time start) {
    if (timeline_) timeline_->begin(station, lane, start);
  }
  /// A step of k iterations has ended. `shape`, `padding` and `run` as of iteration 0; for a pipeline `run` is stage 0.
  void on_step(StationId station, int lane, Time start, Time end, std::int64_t k, const StepShape& shape,
               const BatchPlan::Padding& padding, const StepRun& run);
  /// The same without padding.
  void on_step(StationId station, int lane, Time start, Time end, std::int64_t k, const StepShape& shape,
               const StepRun& run);
  /// A further pipeline stage of a step runs in [start, end), which may lie ahead; before the step's on_step.
  void on_stage(StationId station, int stage, Time start, Time end, std::int64_t k, const StepShape& shape,
                const StepRun& run);
  /// The step that runs will never end: its station stopped. What it did since `start`, or since its last iteration
  /// that counted, is lost: time and energy are spent, no token is computed. Returns the energy, in nJ.
  std::int64_t on_abort(StationId station, int lane, Time start, Time now, const StepRun& run);
  void on_stall(Stall why, Duration time) { stalls_[static_cast<int>(why)] += to_ps(time); }

  // Gaps between the tokens of one call.
  void itl(Time end, Duration gap, std::int64_t count);
  /// n calls decode k iterations that follow each other; gap j is first + j * step and ends at the end of iteration j.
  void itl_run(Time start, Duration first, Duration step, std::int64_t k, std::int64_t n);

  // KV memory.
  void on_kv(StationId station, Time now, const KvUse& use);
  /// A run of k iterations has ended that began at `start` with an on_kv of the state of iteration 0, nothing since:
  /// each iteration added `used` tokens and took `filled` from the reserved ones; before iteration i, 1 <= i < k,
  /// growth(i) more blocks (an integer) were taken, with period block_tokens in i. k < 2^21. O(min(k, block_tokens)).
  template <class Growth>
  void on_kv_run(StationId station, Time start, std::int64_t k, const StepRun& run, Tokens used, Tokens filled,
                 Growth growth);

  /// What the devices of a station that has been there for `present` have spent so far, in femtojoules (1 mW for 1 ps):
  /// steps that were told of, `energy` nJ and `busy` ps besides, and idle power for the rest of the time.
  Wide energy(StationId station, Duration present, Wide energy, std::int64_t busy) const;
  std::int64_t busy(StationId station) const {   ///< ps, summed over stages
    return stations_[static_cast<std::size_t>(station.index)].busy;
  }
  /// Ends the run: after the last event and after the rows of those in flight.
  Summary finish(const RunEnd& end);

 private:
  struct PerClass {
    explicit PerClass(bool exact) : ttft(exact), tpot(exact), e2e(exact), queue(exact), qoe(exact) {}
    void merge(const PerClass& other);
    Histogram ttft, tpot, e2e, queue, qoe;   ///< qoe in 1e-9
    TtftParts parts;
    std::int64_t arrived = 0, good = 0, retries = 0;
    std::array<std::int64_t, kStatuses> statuses{};
  };
  struct Rates {
    std::int64_t completed = 0, prompt = 0, cached = 0, output = 0;
    Rates& operator+=(const Rates& o);
  };
  struct Epoch {
    Epoch(Time start, Wide waited, int n, bool exact);
    void merge(const Epoch& later);
    Time begin;
    Wide area;                              ///< integral of the number waiting until `begin`
    Histogram itl;
    Rates rates;                            ///< of what ends in it, no later than the last arrival
    std::vector<PerClass> classes;
  };
  struct Station {
    std::int64_t busy = 0;                  ///< ps, summed over stages
    Wide energy = 0;                        ///< nJ
    Time kv_since{};
    KvUse kv{};
    int kind = 0;                           ///< of StepTimes
    Wide held = 0, used = 0, reserved = 0, external = 0;  ///< integrals: block ps, token ps, token ps, block ps
    Blocks peak{};
  };
  struct Limits {
    std::int64_t ttft, tpot, e2e, queue;    ///< ps; max where there is none
  };

  void advance(Time now) {
    const std::int64_t dt = to_ps(now) - to_ps(last_);
    if (dt < 0 && !backwards_) backwards_ = now;
    area_ += static_cast<Wide>(in_system_) * dt;
    last_ = now;
  }
  void wait(Time now, std::int32_t delta) {
    waiting_area_ += static_cast<Wide>(waiting_) * (to_ps(now) - to_ps(waiting_since_));
    waiting_since_ = now;
    waiting_ += delta;
  }
  /// Do its times follow each other, and are they all set if it is done?
  static bool sound(const Row& r) {
    if (r.status == Status::kDone)
      return r.arrival <= r.first_schedule && r.first_schedule <= r.first_token && r.first_token <= r.finish &&
             r.finish != kNever && r.output.value() > 0;
    return r.status == Status::kInFlight ? r.finish == kNever : r.arrival <= r.finish && r.finish != kNever;
  }
  void count_tokens(const Row& row);
  Epoch& epoch_of_arrival(Time t) { return t >= epoch_->begin ? *epoch_ : older_epoch(t + Duration{1}); }
  Epoch& epoch_of_end(Time t) { return t > epoch_->begin ? *epoch_ : older_epoch(t); }
  Epoch& older_epoch(Time t);               ///< the last that begins before t; the oldest if there is none
  void rotate(Time now);
  void push_epoch(Time begin);
  void count_step(StationId station, int lane, Time start, Time end, std::int64_t k, const StepShape& shape,
                  std::int64_t prompt, std::int64_t output, const StepRun& run);
  void count_run(StationId station, int stage, std::int64_t k, const StepShape& shape, const StepRun& run);
  void deliver_across(Time start, Time end, std::int64_t k, std::int64_t prompt, std::int64_t output,
                      const StepRun& run);
  void itl_across(Time start, Duration first, Duration step, std::int64_t k, std::int64_t n);
  void observe(PerClass& c, const Row& row);
  std::size_t steady_epochs() const;
  std::size_t choose_cut() const;
  void fill_requests(Summary& s, std::size_t cut) const;
  void fill_slo(Summary& s, const std::vector<PerClass>& classes, const PerClass& all, const Histogram& itl) const;
  void fill_kv(Summary& s, Time end) const;
  void fill_host(Summary& s, const RunEnd& end) const;
  void fill_work(Summary& s) const;
  void fill_stations(Summary& s, const RunEnd& end) const;
  void fill_state(Summary& s, std::size_t cut) const;
  RunFacts facts(const RunEnd& end) const;
  void kv_advance(Station& s, Time now) {
    const std::int64_t dt = to_ps(now) - to_ps(s.kv_since);
    s.held += static_cast<Wide>(s.kv.held.value()) * dt;
    s.used += static_cast<Wide>(s.kv.used.value()) * dt;
    s.reserved += static_cast<Wide>(s.kv.reserved.value()) * dt;
    if (s.kv.external > Blocks{}) s.external += static_cast<Wide>(s.kv.external.value()) * dt;
    s.kv_since = now;
  }

  const StationSpec& spec(std::size_t station) const { return config_.specs[station]; }
  Wide idle_energy(std::size_t station, Duration present, std::int64_t busy) const;

  RecorderConfig config_;
  std::unique_ptr<Timeline> timeline_;
  struct Paid { std::int64_t price = 0; bool there = true; };
  std::vector<Paid> paid_;                  ///< by station: price in 1e-9 USD an hour; for the timeline
  std::vector<Limits> limits_;              ///< by class

  // Requests.
  Time last_{}, last_arrival_{};
  Wide area_ = 0, sojourn_ = 0;
  std::int64_t in_system_ = 0, offered_ = 0;
  std::int64_t statuses_[kStatuses] = {};
  Wide open_arrivals_ = 0;                  ///< sum over requests in flight at the end
  std::optional<Time> backwards_;           ///< when time first ran backwards
  bool aborted_ = false;                    ///< a step never ended
  std::optional<Row> odd_;                  ///< the first row whose times do not fit
  Time waiting_since_{};
  std::int64_t waiting_ = 0, waiting_at_arrival_ = 0;
  Wide waiting_area_ = 0, waiting_area_at_arrival_ = 0;
  std::vector<std::int64_t> service_;       ///< by class: prompt tokens scheduled + 2 x output tokens (VTC, OSDI'24)
  std::int64_t gaps_ = 0;                   ///< between the output tokens of rows
  std::int64_t prompt_ = 0, cached_ = 0, row_computed_ = 0, open_computed_ = 0, output_ = 0;

  // Epochs, oldest first; [measured_] is the first that an explicit warm-up leaves.
  std::vector<std::unique_ptr<Epoch>> epochs_;
  Epoch* epoch_ = nullptr;                  ///< the newest
  std::size_t measured_ = 0;
  bool warming_ = false;                    ///< an explicit warm-up has not ended yet
  std::int64_t epoch_size_ = 16, epoch_arrivals_ = 0;
  Rates pending_;                           ///< after the last arrival so far

  // Steps.
  std::vector<Station> stations_;
  std::int64_t steps_ = 0, iterations_ = 0;
  std::int64_t computed_ = 0, padded_ = 0, recomputed_ = 0, wasted_ = 0;
  std::int64_t departures_[4] = {};
  Wide stalls_[2] = {};                        ///< picoseconds
  StepTimes times_;
  Wide time_[2][4] = {};                    ///< ps of steps, by in range and grade
  Wide span_ = 0;                           ///< time of steps, ps
  Wide energy_ = 0, flops_ = 0, bytes_ = 0, running_ = 0;
  std::int32_t max_running_ = 0;
};

}  // namespace orrery

#include "sim/metrics/recorder_inline.hpp"  // IWYU pragma: export
