/// Where the weights of models lie on each server, and what its disk and its network are busy with. All models have the
/// same size. Weights go to a device through the tiers in a pipeline, so the slowest tier rules; loads from pinned
/// memory have a link of their own each, loads from the disk or over the network of a server queue there, first come
/// first served:
///
///   T = q + n / b        q: what is queued at that disk or network, 0 from pinned memory
///
/// ServerlessLLM (Fu et al., OSDI'24), section 6.2, and `storage_aware_scheduler.py` of the authors' repository.
/// Weights that are still on their way into a tier can be had from there once they have come.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster.hpp"

namespace orrery {

/// The fastest tier that a server keeps weights in.
enum class Cache : std::uint8_t { kNone, kSsd, kDram };

class WeightStore {
 public:
  struct Load {
    Tier tier = Tier::kRemote;
    Duration time{};             ///< from now until the instance can serve
  };

  /// `servers` may be empty: then one server without limits stands for all.
  WeightStore(std::span<const Server> servers, const Pool& pool, Cache cache);

  /// What it would take to load a model on a device of the server. O(models in its pinned memory).
  Load estimate(std::int32_t server, std::int32_t model, Time now) const;
  /// The same, and it happens: disk or network are busy with it, caches take it.
  Load begin(std::int32_t server, std::int32_t model, Time now);

 private:
  struct Kept {
    std::int32_t model;
    Time ready;                  ///< all of it has come
  };
  struct State {
    Server tiers;
    std::vector<Kept> dram;      ///< least recently loaded first
    std::vector<Kept> ssd;       ///< besides what lay there at the start
    Time disk_free{}, network_free{};
  };
  static const Kept* find(const std::vector<Kept>& list, std::int32_t model);
  State& at(std::int32_t server) { return states_[server < 0 ? 0 : static_cast<std::size_t>(server)]; }
  const State& at(std::int32_t server) const { return states_[server < 0 ? 0 : static_cast<std::size_t>(server)]; }
  Duration through(std::int64_t shared_bytes_per_s, const Server& tiers) const;
  void keep_in_dram(State& s, std::int32_t model, Time ready);

  std::vector<State> states_;
  Bytes size_;
  std::int64_t devices_;         ///< of one instance
  Duration init_;
  bool on_all_disks_;            ///< every model, from the start
  Cache cache_;
};

}  // namespace orrery
