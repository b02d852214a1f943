/// KV memory of one station as the twin keeps it: how many blocks each call owns, which blocks the prefix cache has, and
/// for contiguous pools the address of every run. Nothing is counted incrementally: `free()` is the total minus all that
/// is held. Over-booking throws.
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

/// A block of tokens that can be shared: the keys of all segments up to the one that holds its last token, and its index.
using TwinBlock = std::pair<std::vector<std::uint64_t>, std::int64_t>;

/// A request with its own copy of the segments.
struct TwinRequest {
  Request request;
  std::vector<Segment> segments;
};

TwinBlock name_block(const TwinRequest& r, std::int64_t index, std::int64_t block_tokens);

struct TwinLease {
  Blocks own;                                 ///< blocks that only this call references
  std::map<std::int64_t, TwinBlock> pins;     ///< blocks of the cache that it references, by index
  std::map<std::int64_t, TwinBlock> copies;   ///< own blocks whose equal was cached already
  std::int64_t address = -1, order = -1;      ///< contiguous: first slot and log2 of the length
};

class TwinKv {
 public:
  TwinKv(Blocks total, Tokens block_tokens, bool contiguous, TwinPrefix prefix);

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
  void pin_hit(TwinLease& lease, const TwinRequest& r, Tokens hit);
  /// The first `computed` tokens of the call exist: their full blocks become cached.
  void publish(TwinLease& lease, const TwinRequest& r, Tokens computed);
  void release(TwinLease& lease);

  PrefixMatch match(const TwinRequest& r, Tokens target) const;
  Blocks releasable(const TwinLease& lease) const;
  TwinPrefix prefix() const { return prefix_; }

 private:
  struct Cached { std::int64_t pins = 0, unpinned_at = 0; };

  Blocks total_;
  std::int64_t block_tokens_;
  bool contiguous_;
  TwinPrefix prefix_;
  std::set<TwinLease*> leases_;
  std::map<TwinBlock, Cached> cache_;
  std::int64_t unpin_clock_ = 0;
  std::vector<std::set<std::int64_t>> free_runs_, all_runs_;   ///< addresses, by log2 of the length; now and when empty
};

/// A broken invariant, in words.
[[noreturn]] void twin_error(const std::string& what);

}  // namespace orrery
