/// The plain twin: a slow engine that says in obvious code what the fast one (sim/engine) must compute. It steps
/// through every iteration, asks the policy each time, keeps plain vectors and recomputes every sum from the members.
/// It shares with the fast engine only the policy interfaces, BatchPlan, the cost model and the base types. Times are
/// picoseconds.
///
///   TwinResult r = run_twin(config, source);
///   r.rows[3].finish; r.decisions; r.sums.computed;
///
/// It aborts with a message (std::logic_error) where an invariant breaks: KV over-booked, a lane that never stops.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/cost.hpp"
#include "sim/metrics/qoe.hpp"
#include "sim/policy.hpp"
#include "sim/request.hpp"

namespace orrery {

enum class TwinPrefix { kNone, kHash, kRadix };

struct TwinConfig {
  std::uint64_t seed = 1;
  std::vector<Batcher*> batchers;               ///< one a station
  const CostModel* cost = nullptr;
  const KvPolicy* kv = nullptr;
  std::vector<QueueOrder*> orders;              ///< one a station
  const LengthPredictor* predictor = nullptr;   ///< null: no prediction
  Router* router = nullptr;                     ///< null: one station
  AdmissionPolicy* admission = nullptr;         ///< null: none
  std::vector<ServiceClass> classes;            ///< by number
  std::vector<QoeRule> qoe;                     ///< by class; empty: none
  std::vector<ClientRule> clients;              ///< by class; empty: nobody loses patience
  Blocks kv_blocks{1000};                       ///< of each station
  Tokens block_tokens{16};                      ///< unless the KvPolicy sets its own
  Tokens host_tokens;                           ///< room for swapped KV, each station
  Bytes kv_bytes_per_token;
  TwinPrefix prefix = TwinPrefix::kNone;
  Blocks host_prefix;                           ///< room for cached prefixes in host memory, each station
  std::int64_t most_iterations = 100000;        ///< beyond that, policies are taken to run in circles
};

enum class TwinStatus : std::uint8_t { kDone, kRejected, kFailed, kCancelled, kTimedOut, kInFlight };

struct TwinRow {
  std::uint64_t number = 0;
  Time arrival{}, first_schedule = kNever, first_token = kNever, finish = kNever;
  std::int64_t prompt = 0, output = 0, cached = 0;   ///< output: delivered so far
  int station = -1, preemptions = 0, retries = 0;    ///< station: that first ran it; all of the last attempt
  TwinStatus status = TwinStatus::kInFlight;
  double qoe = -1;
  friend bool operator==(const TwinRow&, const TwinRow&) = default;
};

/// What a plan changed. `tokens`: admit, its prefix hit; chunk, q; leave and resume, context. A pause says that a step
/// runs without the decode group, which has members.
struct TwinDecision {
  enum Kind : std::uint8_t { kRecompute, kSwap, kRestart, kFail, kResume, kAdmit, kChunk, kPause, kCancel } kind;
  Time time;
  int station, lane;
  std::int64_t clock;       ///< of the lane's group
  std::uint64_t number;
  std::int64_t tokens;
  friend bool operator==(const TwinDecision&, const TwinDecision&) = default;
};

struct TwinSums {
  /// Tokens. Delivered: computed for calls that are done, since their last admission. Cached: at first admissions.
  Wide computed = 0, delivered = 0, cached = 0, recomputed = 0, wasted = 0, padded = 0;
  Wide busy = 0;            ///< ps, sum over steps and stages of their price
  Wide energy = 0;          ///< nJ
  Wide gaps = 0;            ///< ps, sum of the times between tokens of a call
  Wide span = 0, running = 0;   ///< ps, sum over steps of their length; the same times their sequences
  /// KV over time, summed over stations: blocks ps held by calls; tokens ps computed; tokens ps of room that calls will
  /// still fill; blocks ps free, but in runs too short for the head of the queue.
  Wide held = 0, used = 0, reserved = 0, unusable = 0;
  std::int64_t iterations = 0, preemptions = 0, swaps = 0, gap_count = 0, max_running = 0;
  std::int64_t host_in = 0, host_out = 0;   ///< tokens of cached prefixes brought back, offloaded
  friend bool operator==(const TwinSums&, const TwinSums&) = default;
};

struct TwinResult {
  std::vector<TwinRow> rows;            ///< in the order in which they left, then those in flight by number
  std::vector<std::string> names;       ///< of the rows, where the source gives names (scenario.hpp)
  std::vector<TwinDecision> decisions;  ///< in the order they were carried out
  TwinSums sums;
  std::map<std::pair<std::int64_t, int>, std::int64_t> service;   ///< by tick of 10 s and tenant, as VTC counts it
  Time end{};
};

TwinResult run_twin(const TwinConfig& config, RequestSource& source);

}  // namespace orrery
