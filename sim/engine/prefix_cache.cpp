#include "sim/engine/prefix_cache.hpp"

#include <algorithm>

#include "sim/base/rng.hpp"

namespace orrery {

PrefixCache::PrefixCache(Tokens block_tokens, Blocks host_room)
    : block_(block_tokens.value()), nodes_(1), buckets_(64, kNil) {
  nodes_[kRoot].refs = 1;
  host_.room = host_room;
}

PrefixCache::Match PrefixCache::match(Path path, Tokens limit) const {
  Match m;
  const std::int64_t end = limit.value() / block_;
  std::uint32_t at = kRoot;
  for (const Segment& s : path) {
    at = find(at, s);
    if (at == kNil) break;
    const Node& n = nodes_[at];
    const std::int64_t take = std::min<std::int64_t>(n.cached + n.host, end - first_block(n));
    if (take > 0) {
      m.blocks = Blocks{first_block(n) + take};
      if (n.refs == 0) m.evictable += Blocks{n.cached};
      if (take > n.cached) m.evictable += Blocks{take - n.cached};
    }
    if (first_block(n) + take < end_block(n)) break;
  }
  m.tokens = Tokens{m.blocks.value() * block_};
  return m;
}

Tokens PrefixCache::pin(Pin& pin, Path path, Tokens tokens) {
  const std::int64_t end = tokens.value() / block_;
  std::int64_t reached = 0;
  std::uint32_t at = kRoot, depth = 0;
  for (const Segment& s : path) {
    if (reached >= end) break;
    at = find(at, s);
    if (at == kNil) break;
    ++depth;
    const Node& n = nodes_[at];
    const std::int64_t take = std::min<std::int64_t>(n.cached + n.host, end - first_block(n));
    if (take > 0) {
      reached = first_block(n) + take;
      pin = {at, depth};
      move(Move::kPin, at, first_block(n), reached);
    }
    if (first_block(n) + take < end_block(n)) break;
  }
  for (std::uint32_t id = pin.node; id != kRoot; id = nodes_[id].parent) {
    ref(id);
    const Node& n = nodes_[id];
    const std::int64_t take = std::min<std::int64_t>(n.cached + n.host, end - first_block(n));
    if (take > n.cached) restore(id, Blocks{take - n.cached});
  }
  return Tokens{reached * block_};
}

Blocks PrefixCache::publish(Pin& pin, Path path, Tokens from, Tokens to) {
  const std::int64_t begin = from.value() / block_, end = to.value() / block_;
  Blocks taken;
  while (true) {
    Node& n = nodes_[pin.node];
    const std::int64_t have = first_block(n) + n.cached, upto = std::min(end, end_block(n));
    if (have < upto) {
      if (have < begin) break;  // a hole: what lies before was not computed by this lease, nor is it cached
      if (n.host > 0) {
        const Blocks again{std::min<std::int64_t>(n.host, upto - have)};
        host_.superseded += again.value();
        leave_host(pin.node, again);
      }
      n.cached += static_cast<std::int32_t>(upto - have);
      taken += Blocks{upto - have};
      move(Move::kPublish, pin.node, have, upto);
    }
    if (end <= end_block(n) || pin.depth == path.size()) break;
    const Segment& next = path[pin.depth];
    const std::uint32_t known = find(pin.node, next);
    pin.node = known != kNil ? known : create(pin.node, next);
    ++pin.depth;
    ref(pin.node);
  }
  held_ += taken;
  return taken;
}

void PrefixCache::unpin(Pin& pin) {
  for (std::uint32_t id = pin.node; id != kRoot;) {
    Node& n = nodes_[id];
    const std::uint32_t parent = n.parent;
    if (--n.refs == 0) {
      if (n.cached > 0) {
        link_newest(id);
        evictable_ += Blocks{n.cached};
      } else if (n.children == 0 && n.host == 0) {
        erase(id);
      }
    }
    id = parent;
  }
  pin = {};
}

Blocks PrefixCache::evict(Blocks n) {
  Blocks left = n;
  while (left > Blocks{} && oldest_ != kNil) {
    const std::uint32_t id = oldest_;
    const Blocks gone{std::min<std::int64_t>(nodes_[id].cached, left.value())};
    const std::int64_t end = first_block(nodes_[id]) + nodes_[id].cached;
    move(Move::kEvict, id, end - gone.value(), end);
    nodes_[id].cached -= static_cast<std::int32_t>(gone.value());
    left -= gone;
    if (host_.room > Blocks{}) offload(id, gone);
    if (nodes_[id].cached == 0) {
      unlink(id);
      erase_unused(id);
    }
  }
  held_ -= n - left;
  evictable_ -= n - left;
  return n - left;
}

Blocks PrefixCache::releasable(const Pin& pin) const {
  Blocks sum;
  for (std::uint32_t id = pin.node; id != kRoot; id = nodes_[id].parent)
    if (nodes_[id].refs == 1) sum += Blocks{nodes_[id].cached};
  return sum;
}

std::size_t PrefixCache::bucket(std::uint32_t parent, const Segment& s) const {
  const std::uint64_t hash = hash_combine(hash_combine(parent, s.key), static_cast<std::uint32_t>(s.tokens.value()));
  return hash & (buckets_.size() - 1);
}

std::uint32_t PrefixCache::find(std::uint32_t parent, const Segment& s) const {
  auto is = [&](const Node& n) { return n.key == s.key && n.parent == parent && n.tokens == s.tokens.value(); };
  std::uint32_t id = buckets_[bucket(parent, s)];
  while (id != kNil && !is(nodes_[id])) id = nodes_[id].bucket_next;
  return id;
}

std::uint32_t PrefixCache::create(std::uint32_t parent, const Segment& s) {
  if (++live_ > buckets_.size()) rehash();
  std::uint32_t id = unused_;
  if (id != kNil) {
    unused_ = nodes_[id].bucket_next;
  } else {
    id = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
  }
  Node& n = nodes_[id];
  n = {};
  n.key = s.key;
  n.parent = parent;
  n.start = nodes_[parent].start + nodes_[parent].tokens;
  n.tokens = s.tokens.value();
  std::uint32_t& head = buckets_[bucket(parent, s)];
  n.bucket_next = head;
  head = id;
  ++nodes_[parent].children;
  return id;
}

void PrefixCache::erase(std::uint32_t id) {
  Node& n = nodes_[id];
  std::uint32_t* link = &buckets_[bucket(n.parent, {n.key, Tokens32{n.tokens}})];
  while (*link != id) link = &nodes_[*link].bucket_next;
  *link = n.bucket_next;
  --nodes_[n.parent].children;
  n.bucket_next = unused_;
  unused_ = id;
  --live_;
}

void PrefixCache::erase_unused(std::uint32_t id) {
  while (nodes_[id].cached + nodes_[id].host == 0 && nodes_[id].refs == 0 && nodes_[id].children == 0) {
    const std::uint32_t parent = nodes_[id].parent;
    erase(id);
    id = parent;
  }
}

void PrefixCache::rehash() {
  std::vector<std::uint32_t> old(buckets_.size() * 2, kNil);
  old.swap(buckets_);
  for (std::uint32_t id : old)
    while (id != kNil) {
      Node& n = nodes_[id];
      const std::uint32_t next = n.bucket_next;
      std::uint32_t& head = buckets_[bucket(n.parent, {n.key, Tokens32{n.tokens}})];
      n.bucket_next = head;
      head = id;
      id = next;
    }
}

void PrefixCache::ref(std::uint32_t id) {
  Node& n = nodes_[id];
  if (n.refs++ == 0 && n.cached > 0) {
    unlink(id);
    evictable_ -= Blocks{n.cached};
  }
}

void PrefixCache::link_newest(std::uint32_t id) {
  nodes_[id].older = newest_;
  nodes_[id].newer = kNil;
  (newest_ == kNil ? oldest_ : nodes_[newest_].newer) = id;
  newest_ = id;
}

void PrefixCache::unlink(std::uint32_t id) {
  const Node& n = nodes_[id];
  (n.older == kNil ? oldest_ : nodes_[n.older].newer) = n.newer;
  (n.newer == kNil ? newest_ : nodes_[n.newer].older) = n.older;
}

/// The device has evicted its last n blocks: they are in host memory now, which loses its oldest for them.
void PrefixCache::offload(std::uint32_t id, Blocks n) {
  if (nodes_[id].host > 0) unlink_host(id);
  link_host(id);
  nodes_[id].host += static_cast<std::int32_t>(n.value());
  host_.held += n;
  host_.offloaded += n.value();
  while (host_.held > host_.room) {
    const std::uint32_t oldest = host_oldest_;
    const Blocks gone = std::min(Blocks{nodes_[oldest].host}, host_.held - host_.room);
    host_.dropped += gone.value();
    leave_host(oldest, gone);
    erase_unused(oldest);
  }
  host_.peak = std::max(host_.peak, host_.held);
}

/// Its first n blocks in host memory are on the device again; the node is pinned.
void PrefixCache::restore(std::uint32_t id, Blocks n) {
  leave_host(id, n);
  nodes_[id].cached += static_cast<std::int32_t>(n.value());
  held_ += n;
  host_.restored += n.value();
}

void PrefixCache::leave_host(std::uint32_t id, Blocks n) {
  nodes_[id].host -= static_cast<std::int32_t>(n.value());
  host_.held -= n;
  if (nodes_[id].host == 0) unlink_host(id);
}

void PrefixCache::link_host(std::uint32_t id) {
  nodes_[id].host_older = host_newest_;
  nodes_[id].host_newer = kNil;
  (host_newest_ == kNil ? host_oldest_ : nodes_[host_newest_].host_newer) = id;
  host_newest_ = id;
}

void PrefixCache::unlink_host(std::uint32_t id) {
  const Node& n = nodes_[id];
  (n.host_older == kNil ? host_oldest_ : nodes_[n.host_older].host_newer) = n.host_newer;
  (n.host_newer == kNil ? host_newest_ : nodes_[n.host_newer].host_older) = n.host_older;
}

Blocks PrefixCache::count_host() const {
  Blocks sum;
  for (std::uint32_t id = host_oldest_; id != kNil; id = nodes_[id].host_newer) sum += Blocks{nodes_[id].host};
  return sum;
}

}  // namespace orrery
