#include "policies/serverless/weight_store.hpp"

#include <algorithm>

namespace orrery {
namespace {

/// Rounded up to a picosecond; no bandwidth is no limit.
Duration time_for(Bytes n, std::int64_t bytes_per_s) {
  if (bytes_per_s <= 0) return Duration{};
  const Wide ps = static_cast<Wide>(n.value()) * 1'000'000'000'000;
  return Duration{static_cast<std::int64_t>((ps + bytes_per_s - 1) / bytes_per_s)};
}

}  // namespace

WeightStore::WeightStore(std::span<const Server> servers, const Pool& pool, Cache cache)
    : size_(pool.weight_bytes), devices_(pool.devices()), init_(pool.lifecycle.engine_init),
      on_all_disks_(pool.lifecycle.tier == Tier::kSsd && cache != Cache::kNone), cache_(cache) {
  for (const Server& s : servers) states_.push_back({s, {}, {}, {}, {}});
  if (states_.empty()) states_.emplace_back();
}

const WeightStore::Kept* WeightStore::find(const std::vector<Kept>& list, std::int32_t model) {
  const auto it = std::find_if(list.begin(), list.end(), [&](const Kept& k) { return k.model == model; });
  return it == list.end() ? nullptr : &*it;
}

/// From a tier of the server to the devices of one instance, each of which has its own link.
Duration WeightStore::through(std::int64_t shared_bytes_per_s, const Server& tiers) const {
  return std::max(time_for(size_, shared_bytes_per_s), time_for(size_, tiers.dram_bytes_per_s * devices_));
}

WeightStore::Load WeightStore::estimate(std::int32_t server, std::int32_t model, Time now) const {
  const State& s = at(server);
  if (const Kept* k = find(s.dram, model)) return {Tier::kDram, std::max(through(0, s.tiers), k->ready - now) + init_};
  const Kept* kept = find(s.ssd, model);
  if (on_all_disks_ || kept) {
    const Duration time = std::max(s.disk_free - now, Duration{}) + through(s.tiers.ssd_bytes_per_s, s.tiers);
    return {Tier::kSsd, std::max(time, kept ? kept->ready - now : Duration{}) + init_};
  }
  const Duration queued = std::max(s.network_free - now, Duration{});
  return {Tier::kRemote, queued + through(s.tiers.network_bytes_per_s, s.tiers) + init_};
}

WeightStore::Load WeightStore::begin(std::int32_t server, std::int32_t model, Time now) {
  const Load load = estimate(server, model, now);
  State& s = at(server);
  const Time come = now + load.time - init_;
  if (load.tier == Tier::kSsd) s.disk_free = std::max(s.disk_free, now) + through(s.tiers.ssd_bytes_per_s, s.tiers);
  if (load.tier == Tier::kRemote) {
    s.network_free = come;
    if (cache_ != Cache::kNone) s.ssd.push_back({model, come});
  }
  if (cache_ == Cache::kDram) keep_in_dram(s, model, come);
  return load;
}

/// Least recently used first out.
void WeightStore::keep_in_dram(State& s, std::int32_t model, Time ready) {
  const std::size_t room = size_ > Bytes{} ? static_cast<std::size_t>(s.tiers.dram.value() / size_.value()) : 0;
  if (room == 0) return;
  std::erase_if(s.dram, [&](const Kept& k) { return k.model == model; });
  if (s.dram.size() >= room) s.dram.erase(s.dram.begin());
  s.dram.push_back({model, ready});
}

}  // namespace orrery
