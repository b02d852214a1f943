/// What a run says about itself: everything of summary.json that the engine can know. Plain values; the names follow
/// the keys (DESIGN section 4), seconds and joules are doubles made from exact integer sums at the end.
///
/// Conventions ("vllm", peers' table): TTFT = arrival to first token; TPOT = (E2E - TTFT) / (n - 1), not for n = 1;
/// ITL pools all gaps; queue = arrival to first schedule. The quantiles of Latencies are of completed requests that
/// arrived after the warm-up. In an SLO percentile every other request (rejected, failed, cancelled, timed out or
/// unfinished) counts as +infinity, so shedding cannot improve it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/cost.hpp"
#include "sim/metrics/row.hpp"
#include "sim/metrics/step_times.hpp"

namespace orrery {

inline constexpr std::string_view kMetricsConvention = "vllm";

enum class Metric : std::uint8_t { kTtft, kTpot, kItl, kE2e, kQueue };

constexpr std::string_view name(Metric m) {
  constexpr std::string_view names[] = {"ttft", "tpot", "itl", "e2e", "queue"};
  return names[static_cast<int>(m)];
}

/// "The percentile of the metric is at most the limit." A single request is good if it is within every limit on TTFT,
/// TPOT, E2E and queue time of its class, whatever their percentiles.
struct SloLimit {
  Metric metric = Metric::kTtft;
  double percentile = 99;
  Duration limit{};
  int request_class = -1;        ///< -1: all
};

/// Seconds. Zero if there was no value.
struct Quantiles {
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
  std::int64_t count = 0;
};

/// The requests among which the p99 of TTFT lies (within an eighth of an octave), and the means of the parts of their
/// TTFT, which add up to it (ttft_parts.hpp). Seconds.
struct SlowFirstTokens {
  std::int64_t count = 0;
  double low = 0, high = 0, mean = 0;
  double retries = 0, queue = 0, load = 0, set_back = 0, prefill = 0;
  double prompt_tokens = 0;      ///< mean, of those that had to be computed
};

struct Latencies {
  Quantiles ttft, tpot, itl, e2e, queue;  ///< itl only over all classes
  SlowFirstTokens slow;
};

/// STABLE: the queue has no trend. BACKLOGGED: a queue is left at the last arrival that takes long to work off.
/// OVERLOADED: more arrives than leaves; latencies then depend on how long the run is. The rule is in verdict.hpp.
enum class LoadState : std::uint8_t { kStable, kBacklogged, kOverloaded };

constexpr std::string_view name(LoadState s) {
  constexpr std::string_view names[] = {"STABLE", "BACKLOGGED", "OVERLOADED"};
  return names[static_cast<int>(s)];
}

/// Quality of experience of measured requests whose class states an expectation; all that got no whole answer count as
/// 0.
struct Experience {
  double mean = 0, p10 = 0, p50 = 0, min = 0;
  std::int64_t count = 0;
};

/// Of the measured requests of a class.
struct ClassCounts {
  std::int64_t offered = 0, good = 0, retries = 0;
  std::array<std::int64_t, kStatuses> requests{};  ///< by Status
  Experience qoe;
  double service_share = 0;      ///< of what all requests got: 1 a prompt token, 2 an output token; of the whole run
};

struct SloResult {
  SloLimit limit;
  double value_s = 0;            ///< with misses as +infinity
  bool met = false;
  double attainment = 0;         ///< share of requests (ITL: of gaps) within the limit
};

struct Summary {
  std::uint64_t seed = 0;
  LoadState state = LoadState::kStable;
  double queue_slope = 0, queue_slope_half = 0;  ///< waiting calls a second: trend over the window, half of its 95 % CI

  std::int64_t offered = 0;
  std::array<std::int64_t, kStatuses> requests{};  ///< by Status
  std::int64_t retries = 0;      ///< attempts after the first, of all requests
  double duration_s = 0;         ///< until the last event
  double warmup_s = 0;
  std::string warmup_rule;       ///< "none", "given", or how `auto` chose
  double window_s = 0;           ///< arrival window after warm-up, the base of rates
  std::int64_t measured = 0;     ///< requests that arrived in it

  Latencies latencies;
  Experience qoe;
  std::vector<Latencies> by_class;    ///< if there are several classes
  std::vector<ClassCounts> class_counts;      ///< likewise

  struct Throughput {
    double requests_per_s = 0;               ///< completions in the window
    double prompt_tokens_per_s = 0;          ///< prompt tokens computed in it
    double cached_prompt_tokens_per_s = 0;   ///< taken from the prefix cache, of the completions
    double output_tokens_per_s = 0;          ///< delivered in it
  } throughput;

  struct Slo {
    double attainment = 1;       ///< share of measured requests that are good
    double goodput_rps = 0;      ///< good requests a second of the window
    bool met = true;             ///< every limit at its percentile
    std::vector<SloResult> limits;
  } slo;

  /// Cached prefixes in host memory, over all replicas. Tokens that were brought back for a call that came again after
  /// a preemption count too.
  struct Host {
    std::int64_t room = 0;           ///< tokens; 0: there is no such tier
    std::int64_t hit_tokens = 0;     ///< brought back because a prompt began with them
    std::int64_t offloaded_tokens = 0;   ///< copied there when the device evicted them
    std::int64_t dropped_tokens = 0; ///< lost to make room
    double hit_rate = 0;             ///< hit tokens / prompt tokens of requests that were scheduled
    double bytes_in = 0, bytes_out = 0;   ///< copied to the device; to host memory
    double peak_used_fraction = 0;   ///< of its room, of any station
  };

  /// Time averages over the run, as shares of all KV slots, but for fragmented_fraction.
  struct Kv {
    double peak_used_fraction = 0;   ///< largest share of blocks held by calls, of any station
    double used = 0, reserved = 0, internal = 0, external = 0;
    double fragmented_fraction = 0;  ///< (internal + external) of what is held or unusable
    std::int64_t preemptions = 0, swaps = 0;
    double preemption_loss_s = 0;    ///< sum over calls: from their last token before one until they decode again
    double prefix_hit_rate = 0;      ///< cached / prompt tokens of requests that were scheduled
    Host host;
  } kv;

  struct Tokens_ {
    std::int64_t computed = 0, delivered = 0, cached = 0, recomputed = 0, wasted = 0, padded = 0, in_flight = 0;
    std::int64_t prompt = 0, output = 0;     ///< of rows: prompt tokens scheduled, output tokens emitted
  } tokens;

  double mean_running = 0;       ///< sequences of a step, weighted with its time
  std::int64_t max_running = 0;
  TimeShares time;
  double busy = 0, mfu = 0, mbu = 0;         ///< of the run's duration, mean over stations
  double joules = 0, joules_per_output_token = 0;
  double usd = 0, usd_per_million_output_tokens = 0;
  double calibrated_time_fraction = 1;       ///< share of step time inside the fitted range
  Grade grade = Grade::kMeasured;            ///< the worst that occurred
  std::array<double, 4> time_by_grade_s{};
  double swap_s = 0, transfer_s = 0, host_s = 0;   ///< swap_s: by how much longer steps took because of it
  std::int64_t steps = 0, iterations = 0;
  double mean_in_system = 0;     ///< Little's L, over the run

  std::vector<std::string> broken;           ///< broken identities, one message each; empty if the run is sound
};

}  // namespace orrery
