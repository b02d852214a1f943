/// Prefix cache of one station: which KV blocks of earlier prompts are kept, keyed by trace segments, so that a
/// question costs O(segments) and memory is one node a segment, however many blocks a segment has.
///
/// A prompt is a path of segments {key, tokens}. KV block b covers tokens [b B, (b + 1) B) and belongs to the segment
/// that holds its last token; only whole blocks are cached, and those beyond the segments are never shared. A node
/// (parent, key, tokens) caches its first `cached` blocks: it grows and is evicted at its end. A lease (a call that
/// holds KV) pins the nodes from the root to the deepest one it matched or published; a node nobody pins is evictable,
/// least recently unpinned first and deeper nodes before their parents, as in vLLM v1 (free-queue order: tail of a
/// request first) and SGLang (leaves of the radix tree, least recently used).
///
/// Pinning is by whole node. It differs from pinning by block in two cases: a lease that matched only the first blocks
/// of a node (its prompt ends there, or `limit` cut it) also keeps that node's later blocks from eviction and refreshes
/// them when it ends; and so does a lease whose node another lease extends. Sharing, hits and counts are unaffected.
///
/// With room in host memory (TensorRT-LLM's secondary pool) blocks that the device evicts are copied there, and a match
/// that goes on into them brings them back when it is pinned. A block is in one of the two. A node's blocks in host
/// memory are those that follow its blocks on the device, so what was said of the order holds for both: host memory
/// makes room by losing blocks of the node that came there longest ago, its last ones first. Blocks that somebody
/// computed again are on the device; their copies in host memory are dropped.
///
/// Ownership: the cache counts blocks, the ledger counts the rest. Blocks that publish() takes over leave the lease's
/// own count; blocks of a prefix that somebody else published first stay the lease's private duplicates. Pin all
/// admissions of a plan before evicting for any of them. Broken use (a pin twice, a hole) is the caller's error: a hole
/// ends the publishing. Deterministic: the hash table is never iterated over.
///
///   auto hit = cache.match(path, prompt - 1_tok);     // what a call would find
///   cache.pin(pin, path, hit.tokens);                 // at admission
///   private_blocks -= cache.publish(pin, path, before, after);   // when a chunk has been computed
///   cache.unpin(pin);                                 // when the call is done
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/request.hpp"

namespace orrery {

class PrefixCache {
 public:
  using Path = std::span<const Segment>;

  struct Match {
    Tokens tokens;      ///< a multiple of the block size, at most `limit`
    Blocks blocks;      ///< the same in blocks
    /// Blocks that pinning the match takes from what is available: all of its nodes that nobody pins now become
    /// unevictable, and those in host memory need room on the device.
    Blocks evictable;
  };
  /// Blocks in host memory, and what became of those that came there:
  /// offloaded = restored + superseded + dropped + held.
  struct HostUse {
    Blocks room, held, peak;
    std::int64_t offloaded = 0;    ///< copied there when the device evicted them
    std::int64_t restored = 0;     ///< brought back for a match
    std::int64_t superseded = 0;   ///< computed again meanwhile
    std::int64_t dropped = 0;      ///< lost to make room
  };
  /// What a lease pins: the path from the root to `node`, `depth` segments of its prompt.
  struct Pin {
    std::uint32_t node = 0;
    std::uint32_t depth = 0;
    bool empty() const { return depth == 0; }
  };

  /// What happened to blocks [begin, end) of a path, for an engine that holds them: a lease found them in the node, the
  /// node took them over, or lost them.
  struct Move {
    enum Kind : std::uint8_t { kPin, kPublish, kEvict } kind;
    std::uint32_t node;
    std::int64_t begin, end;
  };

  explicit PrefixCache(Tokens block_tokens, Blocks host_room = {});

  /// From now on moves are added to this list; null: to none.
  void tell(std::vector<Move>* moves) { moves_ = moves; }

  /// The longest cached prefix of `path`, at most `limit` tokens.
  Match match(Path path, Tokens limit) const;
  /// Pins the nodes of the first `tokens` tokens, as match() returned them; `pin` is empty before. Returns the tokens
  /// pinned: fewer if something of them has been evicted since. Blocks that come back from host memory are counted in
  /// host().restored; the caller finds room for them on the device.
  Tokens pin(Pin& pin, Path path, Tokens tokens);
  /// The lease has computed tokens [from, to) of its prompt, in order: the whole blocks among them are cached and
  /// pinned where the cache does not have them. Returns how many blocks the cache took over.
  Blocks publish(Pin& pin, Path path, Tokens from, Tokens to);
  void unpin(Pin& pin);
  /// Frees up to n evictable blocks; returns how many.
  Blocks evict(Blocks n);

  Blocks held() const { return held_; }            ///< all cached blocks, pinned or not
  Blocks evictable() const { return evictable_; }  ///< of them, those that nobody pins
  /// Blocks that become evictable if this pin is dropped.
  Blocks releasable(const Pin& pin) const;
  std::size_t nodes() const { return live_; }      ///< segments that are remembered
  const HostUse& host() const { return host_; }
  Blocks count_host() const;                       ///< host().held, counted node by node

 private:
  static constexpr std::uint32_t kRoot = 0, kNil = 0xffffffffu;

  struct Node {
    std::uint64_t key = 0;
    std::uint32_t parent = kNil;
    std::uint32_t bucket_next = kNil;              ///< in its hash bucket, or in the list of unused nodes
    std::uint32_t older = kNil, newer = kNil;      ///< among the evictable ones
    std::int32_t start = 0, tokens = 0;            ///< of the segment
    std::int32_t cached = 0;                       ///< blocks on the device
    std::int32_t host = 0;                         ///< blocks in host memory: those that follow
    std::uint32_t host_older = kNil, host_newer = kNil;
    std::int32_t refs = 0, children = 0;
  };

  std::int64_t first_block(const Node& n) const { return n.start / block_; }
  std::int64_t end_block(const Node& n) const { return (static_cast<std::int64_t>(n.start) + n.tokens) / block_; }
  std::size_t bucket(std::uint32_t parent, const Segment& s) const;
  std::uint32_t find(std::uint32_t parent, const Segment& s) const;
  std::uint32_t create(std::uint32_t parent, const Segment& s);
  void erase(std::uint32_t id);
  void erase_unused(std::uint32_t id);             ///< and its ancestors, as far as they have become unused
  void rehash();
  void ref(std::uint32_t id);
  void link_newest(std::uint32_t id);
  void unlink(std::uint32_t id);
  void offload(std::uint32_t id, Blocks n);
  void restore(std::uint32_t id, Blocks n);
  void leave_host(std::uint32_t id, Blocks n);
  void link_host(std::uint32_t id);
  void unlink_host(std::uint32_t id);
  void move(Move::Kind kind, std::uint32_t node, std::int64_t begin, std::int64_t end) {
    if (moves_ != nullptr) moves_->push_back({kind, node, begin, end});
  }

  std::int64_t block_;
  std::vector<Node> nodes_;                        ///< [0] is the root, which is always pinned
  std::vector<std::uint32_t> buckets_;             ///< power of two
  std::uint32_t unused_ = kNil;
  std::uint32_t oldest_ = kNil, newest_ = kNil;
  std::size_t live_ = 0;
  Blocks held_, evictable_;
  std::uint32_t host_oldest_ = kNil, host_newest_ = kNil;
  HostUse host_;
  std::vector<Move>* moves_ = nullptr;
};

}  // namespace orrery
