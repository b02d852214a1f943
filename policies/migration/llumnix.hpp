/// Llumnix: calls are rescheduled between instances while they run (Sun et al., OSDI'24). A new call goes to the freest
/// instance. At every poll, instances with a freeness below `threshold`, or on which a call was preempted, are paired
/// with the freest ones above it, lowest with highest; each source gives one call away by live migration, so that
/// memory is evened out, the queue head gets in, and high-priority calls keep a headroom around them. Freeness:
/// freeness.hpp. A draining instance has none and so is emptied.
///
/// Defaults: poll 50 ms, threshold 3 blocks a call, every pair kept, the last to come is moved first, 3 stages of which
/// the last copies at most 4 blocks (authors' code, AlibabaPAI/llumnix, first public commit); headroom 1,600 tokens
/// (paper, section 6.4, from memory); scaling: autoscale.hpp.
/// Modelled: dispatch, migration pairing and victims, priorities, scaling, draining, stages of the copy (sim/engine).
/// Calls of high priority also come first in the queue with "order": "priority". `priorities` false is Llumnix-base.
/// Not modelled: the slowdown of decoding while KV is copied (at most 1 % in the paper), calls migrating while they
/// wait. Instances of all roles are taken as mixed.
///
///   "policy": {"cluster": {"name": "llumnix", "threshold": 3}}
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "policies/migration/autoscale.hpp"
#include "policies/migration/freeness.hpp"

namespace orrery {

enum class Pairing {
  kPrefillConstrained,   ///< all pairs
  kBalanced,             ///< those whose migration narrows the gap and leaves the destination above the threshold
};
/// Whom a source gives away: the last that came, the one with the shortest or the longest context.
enum class Victim { kLast, kShortest, kLongest };

struct LlumnixConfig {
  bool migrate = true;
  Duration poll = 50ms;
  double threshold = 3;             ///< blocks a call: sources are below it, destinations above
  Pairing pairing = Pairing::kPrefillConstrained;
  Victim victim = Victim::kLast;
  bool priorities = true;
  int high_priority = -1;           ///< calls of this priority or a more urgent one are of high priority
  Tokens headroom{1600};            ///< of an instance with such calls, shared by them
  Tokens last_stage{64};
  int max_stages = 3;
  AutoscaleConfig scaling;
};
void describe(Describer&, LlumnixConfig&);

/// An instance at a poll.
struct Candidate {
  StationId station;
  Occupancy occupancy;
  double freeness = 0;
};

/// Sources and destinations that migrate, in the order of need: the i-th least free source with the i-th freest
/// destination. Ties by number.
std::vector<std::pair<Candidate, Candidate>> pair_up(std::span<const Candidate>, double threshold);

/// Would moving a call of `blocks` narrow the gap between the two, and leave the destination above the threshold?
bool balances(const Candidate& from, const Candidate& to, Blocks blocks, Blocks headroom, double threshold);

class Llumnix final : public ClusterPolicy {
 public:
  using Config = LlumnixConfig;
  explicit Llumnix(LlumnixConfig config) : config_(config), scaler_(config.scaling) {}
  Placement route(CallId, Cluster&, Rng) override;
  LiveMove live_move() const override { return {config_.last_stage, config_.max_stages}; }
  Duration tick() const override { return config_.poll; }
  void on_tick(Cluster&) override;

 private:
  struct Migration {
    CallId call;
    std::uint64_t number;           ///< of the call, should its place be taken by another
    StationId from, to;
  };
  Blocks headroom(const Cluster&, StationId) const;
  bool takes_part(StationId) const;
  CallId victim(StationId, const Cluster&) const;
  void rebalance(Cluster&);

  LlumnixConfig config_;
  Autoscaler scaler_;
  std::vector<Migration> under_way_;
};

}  // namespace orrery
