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

std::vector<TwinNode> path_of(const TwinRequest& r, std::int64_t block_tokens) {
  constexpr std::uint64_t kOnlyMine = 0xfeedfacecafebeefull;
  std::vector<TwinNode> path;
  std::int64_t tokens = 0;
  auto add = [&](std::uint64_t key, std::int64_t n) {
    TwinNode node;
    if (!path.empty()) node.chain = path.back().chain;
    node.chain.push_back({key, n});
    node.first = tokens / block_tokens;
    node.end = (tokens += n) / block_tokens;
    path.push_back(node);
  };
  for (const Segment& s : r.segments) add(s.key, s.tokens.value());
  const std::int64_t rest = r.request.prompt_tokens.value() - tokens;
  if (rest > 0) add(kOnlyMine + r.request.number, rest);
  add(r.request.output_key ? r.request.output_key : ~(kOnlyMine + r.request.number), r.request.output_tokens.value());
  return path;
}

TwinKv::TwinKv(Blocks total, Tokens block_tokens, bool contiguous, TwinPrefix prefix, Blocks host_room)
    : total_(total), block_tokens_(block_tokens.value()), prefix_(prefix), host_room_(host_room.value()),
      all_runs_(40) {
  if (!contiguous) return;
  std::int64_t address = 0;
  for (int order = 39; order >= 0; --order)   // the pool is cut into the largest powers of two
    if (total.value() >> order & 1) {
      all_runs_[order].insert(address);
      address += std::int64_t{1} << order;
    }
  free_runs_ = all_runs_;
}

Blocks TwinKv::owned() const {
  Blocks sum;
  for (const TwinLease* lease : leases_) sum += lease->own;
  return sum;
}

Blocks TwinKv::held() const {
  Blocks held = owned();
  for (const auto& [node, cached] : cache_) held += Blocks{cached.blocks};
  return held;
}

Blocks TwinKv::free() const {
  if (held() > total_) twin_error("more KV held than there is");
  return total_ - held();
}

Blocks TwinKv::evictable() const {
  Blocks sum;
  for (const auto& [node, cached] : cache_)
    if (cached.pins == 0) sum += Blocks{cached.blocks};
  return sum;
}

BuddyRuns TwinKv::runs() const {
  BuddyRuns counts{};
  for (std::size_t order = 0; order < free_runs_.size(); ++order)
    counts[order] = static_cast<int>(free_runs_[order].size());
  return counts;
}

bool TwinKv::fits_at_all(Tokens run) const {
  for (int order = log2_up(run.value()); order < 40; ++order)
    if (!all_runs_[order].empty()) return true;
  return false;
}

void TwinKv::take(TwinLease& lease, Blocks n) {
  if (n < Blocks{}) twin_error("a negative number of blocks");
  while (free() < n) evict_one();
  lease.own += n;
}

void TwinKv::settle() {
  while (held() > total_) evict_one();
}

void TwinKv::evict_one() {
  Cached* oldest = nullptr;
  for (auto& [node, cached] : cache_) {
    const bool evictable = cached.pins == 0 && cached.blocks > 0;
    if (evictable && (!oldest || cached.unpinned_at < oldest->unpinned_at)) oldest = &cached;
  }
  if (!oldest) twin_error("no block left to take");
  --oldest->blocks;   // the last of the node
  if (host_room_ == 0) return;
  ++oldest->host;     // which is then the first of those in host memory
  oldest->offloaded_at = ++offload_clock_;
  ++went_;
  std::int64_t there = 0;
  for (const auto& [node, cached] : cache_) there += cached.host;
  if (there > host_room_) drop_one_from_host();
}

void TwinKv::drop_one_from_host() {
  Cached* oldest = nullptr;
  for (auto& [node, cached] : cache_)
    if (cached.host > 0 && (!oldest || cached.offloaded_at < oldest->offloaded_at)) oldest = &cached;
  --oldest->host;     // the last of the node
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

TwinKv::Cached TwinKv::cached(const TwinNode& node) const {
  const auto at = cache_.find(node);
  return at == cache_.end() ? Cached{} : at->second;
}

void TwinKv::pin_hit(TwinLease& lease, const TwinRequest& r, Tokens hit) {
  lease.published = hit.value() / block_tokens_;
  lease.shared = Blocks{lease.published};
  std::int64_t reached = 0;
  for (const TwinNode& node : path_of(r, block_tokens_)) {
    if (reached == lease.published) return;
    ++lease.pins;
    Cached& c = cache_[node];
    ++c.pins;
    const std::int64_t back = std::min(c.host, lease.published - node.first - c.blocks);
    if (back > 0) {
      c.host -= back;
      c.blocks += back;
      came_ += back;
    }
    reached = std::max(reached, std::min(node.first + c.blocks, lease.published));
  }
  if (reached < lease.published) twin_error("a prefix hit is gone");
}

void TwinKv::publish(TwinLease& lease, const TwinRequest& r, Tokens computed) {
  if (prefix_ == TwinPrefix::kNone) return;
  const std::int64_t end = computed.value() / block_tokens_;
  const auto path = path_of(r, block_tokens_);
  for (std::size_t i = 0; i < path.size() && end > lease.published; ++i) {
    const TwinNode& node = path[i];
    const std::int64_t before = i == 0 ? 0 : path[i - 1].end;
    if (end <= before) break;
    if (i >= lease.pins) {
      ++lease.pins;
      ++cache_[node].pins;
    }
    Cached& c = cache_[node];
    const std::int64_t have = node.first + c.blocks, upto = std::min(end, node.end);
    if (have >= upto) continue;
    if (have < lease.published) twin_error("a hole in the cached prefix");
    c.blocks += upto - have;
    c.host = std::max<std::int64_t>(c.host - (upto - have), 0);   // what was computed again is not needed there
    lease.own -= Blocks{upto - have};
    lease.shared += Blocks{upto - have};
  }
  lease.published = std::max(lease.published, end);
}

void TwinKv::release(TwinLease& lease, const TwinRequest& r) {
  lease.own = lease.shared = Blocks{};
  const auto path = path_of(r, block_tokens_);
  while (lease.pins > 0) {   // the deepest first, so that it is evicted first
    Cached& node = cache_[path[--lease.pins]];
    if (--node.pins == 0) node.unpinned_at = ++unpin_clock_;
  }
  lease.published = 0;
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
  const std::int64_t limit = (target.value() - 1) / block_tokens_;
  std::int64_t blocks = 0;
  PrefixMatch hit;
  for (const TwinNode& node : path_of(r, block_tokens_)) {
    const std::int64_t take = std::min(cached(node).blocks + cached(node).host, limit - node.first);
    if (take > 0) {
      blocks = node.first + take;
      if (cached(node).pins == 0) hit.evictable += Blocks{cached(node).blocks};
      hit.evictable += Blocks{std::max<std::int64_t>(take - cached(node).blocks, 0)};   // room that they need
    }
    if (node.first + take < node.end) break;
  }
  hit.tokens = Tokens{blocks * block_tokens_};
  return hit;
}

Blocks TwinKv::releasable(const TwinLease& lease, const TwinRequest& r) const {
  Blocks n = lease.own;
  const auto path = path_of(r, block_tokens_);
  for (std::size_t i = 0; i < lease.pins; ++i)
    if (cached(path[i]).pins == 1) n += Blocks{cached(path[i]).blocks};
  return n;
}

}  // namespace orrery
