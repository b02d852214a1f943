#include "sim/engine/prefix_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "sim/base/rng.hpp"
#include "tests/source_dir.hpp"

namespace orrery {

bool operator==(const Segment& a, const Segment& b) { return a.key == b.key && a.tokens == b.tokens; }
bool operator<(const Segment& a, const Segment& b) {
  return a.key != b.key ? a.key < b.key : a.tokens.value() < b.tokens.value();
}

namespace {

using Pin = PrefixCache::Pin;
using Path = std::vector<Segment>;

Segment seg(std::uint64_t key, int tokens) { return {key, Tokens32{tokens}}; }

std::int64_t length(const Path& path) {
  std::int64_t sum = 0;
  for (const Segment& s : path) sum += s.tokens.value();
  return sum;
}

/// A lease that computes its whole prompt at once: what the cache had, and its pin.
struct Lease {
  Path path;
  Pin pin;
};

Tokens run(PrefixCache& cache, Lease& lease) {
  const auto hit = cache.match(lease.path, Tokens{length(lease.path)});
  EXPECT_EQ(cache.pin(lease.pin, lease.path, hit.tokens), hit.tokens);
  cache.publish(lease.pin, lease.path, hit.tokens, Tokens{length(lease.path)});
  return hit.tokens;
}

/// Blocks of 16: segment A has 40 tokens (blocks 0, 1), B another 40 (block 2 begins in A and ends in B; 2, 3, 4).
TEST(PrefixCache, ABlockBelongsToTheSegmentOfItsLastToken) {
  PrefixCache cache(16_tok);
  Lease ab{{seg(1, 40), seg(2, 40)}, {}}, ac{{seg(1, 40), seg(3, 40)}, {}};
  EXPECT_EQ(run(cache, ab), 0_tok);
  EXPECT_EQ(cache.held(), 5_blk);
  EXPECT_EQ(run(cache, ac), 32_tok);        // block 2 is not shared: its last token is in B or C
  EXPECT_EQ(cache.held(), 8_blk);
  EXPECT_EQ(cache.evictable(), 0_blk);
  EXPECT_EQ(cache.releasable(ab.pin), 3_blk);
  cache.unpin(ab.pin);
  EXPECT_EQ(cache.evictable(), 3_blk);
  cache.unpin(ac.pin);
  EXPECT_EQ(cache.evictable(), 8_blk);
}

TEST(PrefixCache, TheLimitCutsTheMatchToWholeBlocksAndTheWholeNodeIsPinned) {
  PrefixCache cache(16_tok);
  Lease a{{seg(1, 64)}, {}};
  run(cache, a);
  cache.unpin(a.pin);
  const auto hit = cache.match(a.path, 63_tok);
  EXPECT_EQ(hit.tokens, 48_tok);
  EXPECT_EQ(hit.blocks, 3_blk);
  EXPECT_EQ(hit.evictable, 4_blk);
  EXPECT_EQ(cache.pin(a.pin, a.path, hit.tokens), 48_tok);
  EXPECT_EQ(cache.evictable(), 0_blk);
  EXPECT_EQ(cache.publish(a.pin, a.path, 48_tok, 64_tok), 0_blk);  // block 3 is there already: a private duplicate
  EXPECT_EQ(cache.evict(9_blk), 0_blk);
}

TEST(PrefixCache, EvictsTheLeastRecentlyUsedPathFromItsEnd) {
  PrefixCache cache(16_tok);
  Lease ab{{seg(1, 32), seg(2, 32)}, {}}, c{{seg(3, 32)}, {}};
  run(cache, ab);
  run(cache, c);
  cache.unpin(ab.pin);
  cache.unpin(c.pin);
  const Tokens all{64};
  EXPECT_EQ(cache.evict(1_blk), 1_blk);
  EXPECT_EQ(cache.match(ab.path, all).tokens, 48_tok);
  EXPECT_EQ(cache.evict(2_blk), 2_blk);     // the rest of B, then the end of A
  EXPECT_EQ(cache.match(ab.path, all).tokens, 16_tok);
  EXPECT_EQ(cache.match(c.path, all).tokens, 32_tok);
  Lease again{ab.path, {}};
  EXPECT_EQ(run(cache, again), 16_tok);     // grows where it was cut
  EXPECT_EQ(cache.evict(9_blk), 2_blk);     // C alone is unpinned
  EXPECT_EQ(cache.held(), 4_blk);
  cache.unpin(again.pin);
  EXPECT_EQ(cache.evict(9_blk), 4_blk);
  EXPECT_EQ(cache.nodes(), 0u);
}

/// Two leases compute the same prompt at once: the first to finish a block gives it, the other keeps a duplicate.
TEST(PrefixCache, TheFirstToPublishGivesTheBlock) {
  PrefixCache cache(16_tok);
  Lease a{{seg(1, 64)}, {}}, b = a;
  EXPECT_EQ(cache.publish(a.pin, a.path, 0_tok, 40_tok), 2_blk);
  EXPECT_EQ(cache.publish(b.pin, b.path, 0_tok, 64_tok), 2_blk);   // blocks 0 and 1 are duplicates
  EXPECT_EQ(cache.publish(a.pin, a.path, 40_tok, 64_tok), 0_blk);
  EXPECT_EQ(cache.held(), 4_blk);
  cache.unpin(b.pin);
  EXPECT_EQ(cache.evictable(), 0_blk);
  EXPECT_EQ(cache.releasable(a.pin), 4_blk);
}

TEST(PrefixCache, NothingIsAppendedAfterAHole) {
  PrefixCache cache(16_tok);
  Lease a{{seg(1, 64)}, {}};
  EXPECT_EQ(cache.publish(a.pin, a.path, 32_tok, 64_tok), 0_blk);
  EXPECT_EQ(cache.held(), 0_blk);
  cache.unpin(a.pin);
  EXPECT_EQ(cache.nodes(), 0u);
}

/// Segments shorter than a block have no block of their own but lead to those behind them.
TEST(PrefixCache, ShortSegmentsLeadToLongOnes) {
  PrefixCache cache(16_tok);
  Lease a{{seg(1, 4), seg(2, 4), seg(3, 30)}, {}}, b{{seg(1, 4), seg(9, 4), seg(3, 30)}, {}};
  run(cache, a);
  EXPECT_EQ(cache.held(), 2_blk);
  EXPECT_EQ(run(cache, b), 0_tok);
  EXPECT_EQ(cache.match(a.path, 38_tok).tokens, 32_tok);
  cache.unpin(a.pin);
  cache.unpin(b.pin);
  EXPECT_EQ(cache.evict(4_blk), 4_blk);
  EXPECT_EQ(cache.nodes(), 0u);
}

/// One block at a time, as an engine keeps them: each block a set of leases, unpinned ones in a list, freed from the
/// end of a request (vLLM v1, KVCacheManager.free).
class BlockModel {
 public:
  explicit BlockModel(std::int64_t block) : block_(block) {}
  using Block = std::pair<Path, std::int64_t>;   // path up to the segment of its last token, index

  std::vector<Block> blocks(const Path& path) const {
    std::vector<Block> out;
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < path.size(); ++i) {
      sum += path[i].tokens.value();
      while ((static_cast<std::int64_t>(out.size()) + 1) * block_ <= sum)
        out.push_back({Path(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(i) + 1),
                       static_cast<std::int64_t>(out.size())});
    }
    return out;
  }
  std::int64_t run(const Path& path, int lease) {
    std::int64_t hits = 0;
    bool hit = true;
    for (const Block& b : blocks(path)) {
      hit = hit && cached_.count(b) > 0;
      hits += hit;
      cached_[b].insert(lease);
      free_.remove(b);
    }
    return hits;
  }
  void finish(const Path& path, int lease) {
    const auto all = blocks(path);
    for (auto b = all.rbegin(); b != all.rend(); ++b) {
      cached_[*b].erase(lease);
      if (cached_[*b].empty()) free_.push_back(*b);
    }
  }
  void evict(std::int64_t n) {
    for (; n > 0 && !free_.empty(); --n) {
      cached_.erase(free_.front());
      free_.pop_front();
    }
  }
  std::int64_t held() const { return static_cast<std::int64_t>(cached_.size()); }
  std::int64_t evictable() const { return static_cast<std::int64_t>(free_.size()); }

 private:
  std::int64_t block_;
  std::map<Block, std::set<int>> cached_;
  std::list<Block> free_;
};

/// A random path through a tree of segments: few keys a level, so that paths share and split.
Path random_path(Rng& rng) {
  Path path;
  std::uint64_t key = 1;
  const auto depth = 1 + rng.below(5);
  for (std::uint64_t i = 0; i < depth; ++i) {
    key = hash_combine(key, rng.below(3));
    path.push_back(seg(key, static_cast<int>(1 + key % 60)));
  }
  return path;
}

/// Leases that publish their whole prompt when they pin it: pinning by node and by block are the same.
TEST(PrefixCache, EqualsTheBlockModelWhenLeasesTakeWholePaths) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng(seed, Purpose::kFuzz, 2);
    const auto block = static_cast<std::int64_t>(1 + rng.below(20));
    PrefixCache cache{Tokens{block}};
    BlockModel model(block);
    std::map<int, Lease> live;
    for (int op = 0; op < 600; ++op) {
      const auto what = rng.below(10);
      if (what < 4) {
        Lease lease{random_path(rng), {}};
        const Tokens hit = run(cache, lease);
        ASSERT_EQ(hit.value(), model.run(lease.path, op) * block);
        live[op] = lease;
      } else if (what < 8 && !live.empty()) {
        auto it = std::next(live.begin(), static_cast<std::ptrdiff_t>(rng.below(live.size())));
        cache.unpin(it->second.pin);
        model.finish(it->second.path, it->first);
        live.erase(it);
      } else {
        const auto n = static_cast<std::int64_t>(rng.below(8));
        cache.evict(Blocks{n});
        model.evict(n);
      }
      ASSERT_EQ(cache.held().value(), model.held()) << "seed " << seed << " op " << op;
      ASSERT_EQ(cache.evictable().value(), model.evictable()) << "seed " << seed << " op " << op;
    }
  }
}

/// The rule of the header told plainly: a map from path to node, sets of leases, sums by counting everything.
class NodeModel {
 public:
  struct Node {
    std::int64_t cached = 0;
    std::set<int> leases;
  };
  explicit NodeModel(std::int64_t block) : block_(block) {}

  std::int64_t capacity(const Path& p) const { return length(p) / block_ - first(p); }
  std::int64_t first(const Path& p) const { return (length(p) - p.back().tokens.value()) / block_; }
  static Path head(const Path& p, std::size_t n) { return Path(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(n)); }

  std::int64_t match(const Path& path, std::int64_t limit) const {
    std::int64_t blocks = 0;
    for (std::size_t i = 1; i <= path.size(); ++i) {
      const auto it = nodes_.find(head(path, i));
      if (it == nodes_.end()) break;
      blocks += it->second.cached;
      if (it->second.cached < capacity(it->first)) break;
    }
    return std::min(blocks, limit / block_);
  }
  std::int64_t pin(const Path& path, std::int64_t blocks, int lease) {
    std::int64_t newly = 0;
    for (std::size_t i = 1; i <= path.size() && first(head(path, i)) < blocks; ++i) newly += add(head(path, i), lease);
    return newly;
  }
  std::int64_t publish(const Path& path, std::int64_t to, int lease) {
    std::int64_t taken = 0;
    for (std::size_t i = 1; i <= path.size() && first(head(path, i)) < to / block_; ++i) {
      const Path p = head(path, i);
      add(p, lease);
      const std::int64_t want = std::min(capacity(p), to / block_ - first(p));
      taken += std::max<std::int64_t>(0, want - nodes_[p].cached);
      nodes_[p].cached = std::max(nodes_[p].cached, want);
    }
    return taken;
  }
  void unpin(const Path& path, int lease) {
    for (std::size_t i = path.size(); i >= 1; --i) {
      const auto it = nodes_.find(head(path, i));
      if (it != nodes_.end() && it->second.leases.erase(lease) > 0 && it->second.leases.empty())
        order_.push_back(it->first);
    }
  }
  void evict(std::int64_t n) {
    while (n > 0 && !order_.empty()) {
      Node& node = nodes_[order_.front()];
      const std::int64_t gone = std::min(n, node.cached);
      node.cached -= gone;
      n -= gone;
      if (node.cached > 0) break;
      nodes_.erase(order_.front());
      order_.pop_front();
    }
  }
  std::int64_t count(bool only_free) const {
    std::int64_t sum = 0;
    for (const auto& [path, node] : nodes_)
      if (!only_free || node.leases.empty()) sum += node.cached;
    return sum;
  }
  std::int64_t releasable(int lease) const {
    std::int64_t sum = 0;
    for (const auto& [path, node] : nodes_)
      if (node.leases == std::set<int>{lease}) sum += node.cached;
    return sum;
  }

 private:
  /// Returns the blocks that this makes unevictable.
  std::int64_t add(const Path& p, int lease) {
    Node& node = nodes_[p];
    const std::int64_t newly = node.leases.empty() ? node.cached : 0;
    node.leases.insert(lease);
    order_.remove(p);
    return newly;
  }
  std::int64_t block_;
  std::map<Path, Node> nodes_;
  std::list<Path> order_;
};

/// Leases with limits, chunks and concurrent work on the same prompt.
TEST(PrefixCache, EqualsThePlainModelOverRandomChunks) {
  struct Running {
    Lease lease;
    std::int64_t computed;
  };
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng(seed, Purpose::kFuzz, 3);
    const auto block = static_cast<std::int64_t>(1 + rng.below(20));
    PrefixCache cache{Tokens{block}};
    NodeModel model(block);
    std::map<int, Running> live;
    for (int op = 0; op < 600; ++op) {
      const auto what = rng.below(12);
      if (what < 3) {
        Running r{{random_path(rng), {}}, 0};
        const auto limit = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(length(r.lease.path)) + 1));
        const auto hit = cache.match(r.lease.path, Tokens{limit});
        ASSERT_EQ(hit.blocks.value(), model.match(r.lease.path, limit));
        ASSERT_EQ(hit.tokens.value(), hit.blocks.value() * block);
        const Blocks before = cache.evictable();
        ASSERT_EQ(cache.pin(r.lease.pin, r.lease.path, hit.tokens), hit.tokens);
        ASSERT_EQ(before - cache.evictable(), hit.evictable);
        ASSERT_EQ(model.pin(r.lease.path, hit.blocks.value(), op), hit.evictable.value());
        r.computed = hit.tokens.value();
        live[op] = r;
      } else if (what < 8 && !live.empty()) {
        auto it = std::next(live.begin(), static_cast<std::ptrdiff_t>(rng.below(live.size())));
        auto& [lease, computed] = it->second;
        const std::int64_t to = std::min(length(lease.path), computed + static_cast<std::int64_t>(rng.below(80)));
        const Blocks taken = cache.publish(lease.pin, lease.path, Tokens{computed}, Tokens{to});
        ASSERT_EQ(taken.value(), to / block > computed / block ? model.publish(lease.path, to, it->first) : 0);
        computed = to;
      } else if (what < 10 && !live.empty()) {
        auto it = std::next(live.begin(), static_cast<std::ptrdiff_t>(rng.below(live.size())));
        ASSERT_EQ(cache.releasable(it->second.lease.pin).value(), model.releasable(it->first));
        cache.unpin(it->second.lease.pin);
        model.unpin(it->second.lease.path, it->first);
        live.erase(it);
      } else {
        const auto n = static_cast<std::int64_t>(rng.below(12));
        cache.evict(Blocks{n});
        model.evict(n);
      }
      ASSERT_EQ(cache.held().value(), model.count(false)) << "seed " << seed << " op " << op;
      ASSERT_EQ(cache.evictable().value(), model.count(true)) << "seed " << seed << " op " << op;
    }
    for (auto& [id, r] : live) cache.unpin(r.lease.pin);
    const Blocks all = cache.held();
    EXPECT_EQ(cache.evict(all + 1_blk), all);
    EXPECT_EQ(cache.nodes(), 0u);
  }
}

/// Room for 3 blocks in host memory; prompts of 4 and of 2 blocks go there, are lost from the oldest end, come back.
TEST(PrefixCache, EvictedBlocksGoToHostMemoryAndComeBack) {
  PrefixCache cache(16_tok, 3_blk);
  Lease a{{seg(1, 64)}, {}}, b{{seg(2, 32)}, {}};
  run(cache, a);
  cache.unpin(a.pin);
  run(cache, b);
  cache.unpin(b.pin);
  EXPECT_EQ(cache.evict(3_blk), 3_blk);                // a keeps its first block on the device
  EXPECT_EQ(cache.host().held, 3_blk);
  EXPECT_EQ(cache.host().offloaded, 3);
  auto hit = cache.match(a.path, 64_tok);
  EXPECT_EQ(hit.tokens, 64_tok);
  EXPECT_EQ(hit.evictable, 4_blk);                     // one to pin, three to find room for
  hit = cache.match(a.path, 40_tok);
  EXPECT_EQ(hit.tokens, 32_tok);
  EXPECT_EQ(hit.evictable, 2_blk);

  EXPECT_EQ(cache.evict(2_blk), 2_blk);                // a's first block, then b's last: a's last ones make room
  EXPECT_EQ(cache.host().held, 3_blk);
  EXPECT_EQ(cache.host().dropped, 2);
  EXPECT_EQ(cache.match(a.path, 64_tok).tokens, 32_tok);
  EXPECT_EQ(cache.match(b.path, 32_tok).tokens, 32_tok);

  EXPECT_EQ(run(cache, b), 32_tok);                    // its second block comes back
  EXPECT_EQ(cache.host().restored, 1);
  EXPECT_EQ(cache.held(), 2_blk);
  EXPECT_EQ(run(cache, a), 32_tok);                    // two come back, two are computed
  EXPECT_EQ(cache.host().restored, 3);
  EXPECT_EQ(cache.host().held, 0_blk);
  EXPECT_EQ(cache.held(), 6_blk);
  cache.unpin(a.pin);
  cache.unpin(b.pin);
  EXPECT_EQ(cache.evictable(), 6_blk);
}

/// A call computes blocks again whose copies are in host memory, because its hit had to stop before them.
TEST(PrefixCache, WhatIsComputedAgainLeavesHostMemory) {
  PrefixCache cache(16_tok, 100_blk);
  Lease a{{seg(1, 64), seg(2, 32)}, {}};
  run(cache, a);
  cache.unpin(a.pin);
  EXPECT_EQ(cache.evict(6_blk), 6_blk);
  EXPECT_EQ(cache.nodes(), 2u);                        // remembered
  EXPECT_EQ(cache.pin(a.pin, a.path, 32_tok), 32_tok);
  EXPECT_EQ(cache.publish(a.pin, a.path, 32_tok, 80_tok), 3_blk);
  EXPECT_EQ(cache.host().restored, 2);
  EXPECT_EQ(cache.host().superseded, 3);
  EXPECT_EQ(cache.host().held, 1_blk);
  EXPECT_EQ(cache.count_host(), 1_blk);
  EXPECT_EQ(cache.match(a.path, 96_tok).tokens, 96_tok);
  cache.unpin(a.pin);
}

/// Feeds prompts in order to a cache that never evicts. Returns hits and blocks, a partial last block counted.
struct Hits {
  std::int64_t hit = 0, blocks = 0;
  double ratio() const { return static_cast<double>(hit) / static_cast<double>(blocks); }
};

class UnlimitedCache {
 public:
  void feed(const std::vector<std::uint64_t>& ids, std::int64_t prompt) {
    Path path;
    std::int64_t left = prompt;
    for (std::uint64_t id : ids) {
      path.push_back(seg(id, static_cast<int>(std::min<std::int64_t>(left, 512))));
      left -= 512;
    }
    Lease lease{path, {}};
    hits_.hit += run(cache_, lease).value() / 512;
    hits_.blocks += static_cast<std::int64_t>(ids.size());
    cache_.unpin(lease.pin);
  }
  Hits hits() const { return hits_; }

 private:
  PrefixCache cache_{512_tok};
  Hits hits_;
};

/// The README of the data states 0.366 for an unlimited cache of 512-token blocks (Mooncake conversation, FAST'25).
TEST(PrefixCache, MooncakeConversationHits) {
  const std::string file = data_dir("/traces/mooncake_fast25_conversation.jsonl");
  std::ifstream in(file);
  if (!in) GTEST_SKIP() << file << " is not there";
  UnlimitedCache cache;
  for (std::string line; std::getline(in, line);) {
    const std::size_t prompt = line.find("\"input_length\":"), ids = line.find("\"hash_ids\":");
    if (prompt == std::string::npos || ids == std::string::npos) continue;
    std::vector<std::uint64_t> keys;
    const char* at = line.c_str() + line.find('[', ids) + 1;
    for (char* end; *at != ']'; at = end + (*end == ',')) keys.push_back(std::strtoull(at, &end, 10));
    cache.feed(keys, std::strtoll(line.c_str() + prompt + 15, nullptr, 10));
  }
  EXPECT_EQ(cache.hits().blocks, 288500);
  EXPECT_NEAR(cache.hits().ratio(), 0.366, 0.0005);
}

/// The twin of the trace, from nothing but numbers: sessions of four turns, interleaved, each prompt the whole blocks
/// of the last one, two more, and a partial block. Turn t finds 2 t of its 2 t + 3 blocks.
TEST(PrefixCache, SyntheticConversationHits) {
  UnlimitedCache cache;
  for (std::uint64_t turn = 0; turn < 4; ++turn)
    for (std::uint64_t session = 0; session < 50; ++session) {
      std::vector<std::uint64_t> ids;
      for (std::uint64_t i = 0; i < 2 * turn + 2; ++i) ids.push_back(session * 100 + i + 1);
      ids.push_back(session * 100 + 50 + turn);  // partial, of this turn alone
      cache.feed(ids, static_cast<std::int64_t>(2 * turn + 2) * 512 + 100);
    }
  EXPECT_EQ(cache.hits().hit, 50 * (0 + 2 + 4 + 6));
  EXPECT_EQ(cache.hits().blocks, 50 * (3 + 5 + 7 + 9));
}

}  // namespace
}  // namespace orrery
