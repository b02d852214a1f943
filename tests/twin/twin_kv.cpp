#include "tests/twin/twin_kv.hpp"

#include <algorithm>
#include <stdexcept>

namespace orrery {
namespace {

int log2_up(std::int64_t n) {
  int order = 0;
  while ((std::int64_t{1} << order) < n) ++order;
  return order;
}

}  // namespace

void twin_error(const std::string& what) { throw std::logic_error("twin: " + what); }

TwinBlock name_block(const TwinRequest& r, std::int64_t index, std::int64_t block_tokens) {
  constexpr std::uint64_t kOnlyMine = 0xfeedfacecafebeefull;
  const std::int64_t last = (index + 1) * block_tokens - 1, prompt = r.request.prompt_tokens.value();
  std::vector<std::uint64_t> chain;
  std::int64_t end = 0;
  for (const Segment& s : r.segments) {
    chain.push_back(s.key);
    end = std::min(end + s.tokens.value(), prompt);
    if (last < end) return {chain, index};
  }
  if (end < prompt) chain.insert(chain.end(), {kOnlyMine, r.request.number, 0});
  if (last < prompt) return {chain, index};
  if (r.request.output_key != 0) chain.push_back(r.request.output_key);
  else chain.insert(chain.end(), {kOnlyMine, r.request.number, 1});
  return {chain, index};
}

TwinKv::TwinKv(Blocks total, Tokens block_tokens, bool contiguous, TwinPrefix prefix)
    : total_(total), block_tokens_(block_tokens.value()), contiguous_(contiguous), prefix_(prefix), all_runs_(40) {
  if (!contiguous) return;
  std::int64_t address = 0;
  for (int order = 39; order >= 0; --order)   // the pool is cut into the largest powers of two
    if (total.value() >> order & 1) {
      all_runs_[order].insert(address);
      address += std::int64_t{1} << order;
    }
  free_runs_ = all_runs_;
}

Blocks TwinKv::free() const {
  Blocks held{static_cast<std::int64_t>(cache_.size())};
  for (const TwinLease* lease : leases_) held += lease->own;
  if (held > total_) twin_error("more KV held than there is");
  return total_ - held;
}

Blocks TwinKv::evictable() const {
  return Blocks{std::count_if(cache_.begin(), cache_.end(), [](const auto& b) { return b.second.pins == 0; })};
}

BuddyRuns TwinKv::runs() const {
  BuddyRuns counts{};
  for (std::size_t order = 0; order < free_runs_.size(); ++order) counts[order] = static_cast<int>(free_runs_[order].size());
  return counts;
}

bool TwinKv::fits_at_all(Tokens run) const {
  for (int order = log2_up(run.value()); order < 40; ++order)
    if (!all_runs_[order].empty()) return true;
  return false;
}

void TwinKv::take(TwinLease& lease, Blocks n) {
  if (n < Blocks{}) twin_error("a negative number of blocks");
  while (free() < n) {
    auto oldest = cache_.end();
    for (auto b = cache_.begin(); b != cache_.end(); ++b)
      if (b->second.pins == 0 && (oldest == cache_.end() || b->second.unpinned_at < oldest->second.unpinned_at)) oldest = b;
    if (oldest == cache_.end()) twin_error("no block left to take");
    cache_.erase(oldest);
  }
  lease.own += n;
}

void TwinKv::take_run(TwinLease& lease, Tokens n) {
  const int order = log2_up(n.value());
  int have = order;
  while (have < 40 && free_runs_[have].empty()) ++have;
  if (have == 40) twin_error("no run of slots left to take");
  const std::int64_t address = *free_runs_[have].begin();
  free_runs_[have].erase(address);
  while (have > order) {   // keep the lower half
    --have;
    free_runs_[have].insert(address + (std::int64_t{1} << have));
  }
  lease.address = address;
  lease.order = order;
  lease.own = Blocks{std::int64_t{1} << order};
}

void TwinKv::pin_hit(TwinLease& lease, const TwinRequest& r, Tokens hit) {
  for (std::int64_t i = 0; i < hit.value() / block_tokens_; ++i) {
    const TwinBlock block = name_block(r, i, block_tokens_);
    if (!cache_.count(block)) twin_error("a prefix hit is gone");
    ++cache_[block].pins;
    lease.pins[i] = block;
  }
}

void TwinKv::publish(TwinLease& lease, const TwinRequest& r, Tokens computed) {
  if (prefix_ == TwinPrefix::kNone) return;
  for (std::int64_t i = 0; i < computed.value() / block_tokens_; ++i) {
    if (lease.pins.count(i) || lease.copies.count(i)) continue;
    const TwinBlock block = name_block(r, i, block_tokens_);
    if (cache_.count(block)) {
      lease.copies[i] = block;
      continue;
    }
    cache_[block].pins = 1;
    lease.pins[i] = block;
    lease.own -= 1_blk;
  }
}

void TwinKv::release(TwinLease& lease) {
  lease.own = Blocks{};
  lease.copies.clear();
  for (auto pin = lease.pins.rbegin(); pin != lease.pins.rend(); ++pin) {   // the tail of the path is evicted first
    Cached& block = cache_[pin->second];
    if (--block.pins == 0) block.unpinned_at = ++unpin_clock_;
  }
  lease.pins.clear();
  if (lease.address < 0) return;
  std::int64_t address = lease.address, order = lease.order;
  for (;; ++order) {   // merge with the buddy while it is free
    const std::int64_t buddy = address ^ (std::int64_t{1} << order);
    if (order == 39 || !free_runs_[order].erase(buddy)) break;
    address = std::min(address, buddy);
  }
  free_runs_[order].insert(address);
  lease.address = lease.order = -1;
}

PrefixMatch TwinKv::match(const TwinRequest& r, Tokens target) const {
  PrefixMatch hit;
  for (std::int64_t i = 0; i < (target.value() - 1) / block_tokens_; ++i) {
    const auto block = cache_.find(name_block(r, i, block_tokens_));
    if (block == cache_.end()) break;
    hit.tokens += Tokens{block_tokens_};
    if (block->second.pins == 0) hit.evictable += 1_blk;
  }
  return hit;
}

Blocks TwinKv::releasable(const TwinLease& lease) const {
  Blocks n = lease.own;
  for (const auto& pin : lease.pins)
    if (cache_.at(pin.second).pins == 1) n += 1_blk;
  return n;
}

}  // namespace orrery
