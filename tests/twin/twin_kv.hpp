/// KV memory of one station as the twin keeps it: how many blocks each call owns, which blocks the prefix cache has,
/// and for contiguous pools the address of every run. Nothing is counted incrementally: `free()` is the total minus
/// all that is held. Over-booking throws.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/policy.hpp"
#include "sim/request.hpp"
#include "tests/twin/twin.hpp"

namespace orrery {

/// A segment of a prompt, as the prefix cache knows it: keys and lengths of all segments up to it. It has the blocks
/// whose last token it holds.
struct TwinNode {
  std::vector<std::pair<std::uint64_t, std::int64_t>> chain;
  std::int64_t first = 0, end = 0;            ///< blocks
  friend auto operator<=>(const TwinNode&, const TwinNode&) = default;
};

/// A request with its own copy of the segments.
struct TwinRequest {
  Request request;
  std::vector<Segment> segments;
};

/// Its segments, then what of the prompt no other request has, then its answer.
std::vector<TwinNode> path_of(const TwinRequest& r, std::int64_t block_tokens);

struct TwinLease {
  Blocks own;                                 ///< blocks that only this call references
  Blocks shared;                              ///< blocks of the cache that it uses: hits, and what it computed itself
  std::size_t pins = 0;                       ///< nodes of its path that it pins, from the first
  std::int64_t published = 0;                 ///< of its blocks, offered to the cache
  std::int64_t address = -1, order = -1;      ///< contiguous: first slot and log2 of the length
};

class TwinKv {
 public:
  TwinKv(Blocks total, Tokens block_tokens, bool contiguous, TwinPrefix prefix, Blocks host_room);

  Blocks total() const { return total_; }
  Blocks free() const;
  Blocks evictable() const;
  BuddyRuns runs() const;
  bool fits_at_all(Tokens run) const;         ///< contiguous: would the empty pool hold a run of so many tokens?

  /// The same leases are given to every call, so that sums can be recomputed.
  void add(TwinLease& lease) { leases_.insert(&lease); }
  void remove(TwinLease& lease) { leases_.erase(&lease); }

  void take(TwinLease& lease, Blocks n);      ///< free blocks first, then the least recently unpinned of the cache
  void take_run(TwinLease& lease, Tokens n);  ///< the lowest address of the smallest run that is large enough
  /// Blocks of the hit that lie in host memory come back, for now beyond what the device has room for.
  void pin_hit(TwinLease& lease, const TwinRequest& r, Tokens hit);
  void settle();                              ///< once all hits of a plan are pinned: evicts what is too much
  /// The first `computed` tokens of the call exist: their full blocks become cached, but where an equal one is already
  /// (then it keeps its own copy); it pins the nodes that they belong to.
  void publish(TwinLease& lease, const TwinRequest& r, Tokens computed);
  void release(TwinLease& lease, const TwinRequest& r);

  PrefixMatch match(const TwinRequest& r, Tokens target) const;
  Blocks releasable(const TwinLease& lease, const TwinRequest& r) const;
  /// Blocks that came from and went to host memory so far.
  std::int64_t came() const { return came_; }
  std::int64_t went() const { return went_; }
  Blocks pinned() const { return total() - free() - evictable() - owned(); }   ///< blocks of the cache that calls use

 private:
  Blocks owned() const;
  Blocks held() const;
  /// The first blocks of a node; `host` more, those that follow, are in host memory, last added to at `offloaded_at`.
  struct Cached { std::int64_t blocks = 0, pins = 0, unpinned_at = 0, host = 0, offloaded_at = 0; };
  void evict_one();
  void drop_one_from_host();
  Cached cached(const TwinNode& node) const;

  Blocks total_;
  std::int64_t block_tokens_;
  TwinPrefix prefix_;
  std::set<TwinLease*> leases_;
  std::map<TwinNode, Cached> cache_;
  std::int64_t unpin_clock_ = 0;
  std::int64_t host_room_, offload_clock_ = 0, came_ = 0, went_ = 0;
  std::vector<std::set<std::int64_t>> free_runs_, all_runs_;   ///< addresses, by log2 of the length; now and when empty
};

/// A broken invariant, in words.
[[noreturn]] void twin_error(const std::string& what);

}  // namespace orrery
