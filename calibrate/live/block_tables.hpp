/// Which physical block holds what: the block tables of one replica of a real engine, moved by the ledger's journal
/// (sim/engine/executor.hpp) and by the growth of decoding calls. Numbers only, no memory, so one serves all devices.
///
///   BlockTables tables({.blocks = 256, .block_tokens = 16});
///   tables.apply(journal);              // tables.copies(): blocks to move to or from host memory, in this order
///   tables.reserve(call, context + 1);  // a decoding call takes its next block
///   tables.free() == what the ledger says, or the two disagree
///
/// A block is free, owned by one call, or owned by a node of the prefix cache; calls that use a node's blocks read them
/// only. Everything that contradicts this throws EngineError: it means that journal and ledger do not say the same.
/// Complexity: O(blocks touched).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/executor.hpp"
#include "sim/engine/ledger.hpp"

namespace orrery {

/// A block to copy before the step: to host memory, or back.
struct SwapCopy {
  bool out;
  std::int32_t block, host;
  friend bool operator==(const SwapCopy&, const SwapCopy&) = default;
};

class BlockTables {
 public:
  /// Only the sizes of `kv` count. A contiguous pool is emulated: each call takes 2^i blocks of one token.
  explicit BlockTables(const KvConfig& kv);

  /// copies() and what it refers to are those of the last journal.
  void apply(std::span<const KvOp> journal);
  std::span<const SwapCopy> copies() const { return copies_; }
  void reserve(CallId call, std::int64_t tokens);
  /// `q` more tokens of the call have KV.
  void computed(CallId call, std::int64_t q) { sequence(call).stored += q; }

  std::span<const std::int32_t> blocks(CallId call) { return sequence(call).blocks; }
  std::int64_t stored(CallId call) { return sequence(call).stored; }   ///< tokens whose KV is in its blocks
  std::int64_t free() const { return static_cast<std::int64_t>(free_.size()); }
  std::int32_t host_blocks() const { return host_end_; }               ///< so many have ever been in use at once

 private:
  struct Sequence {
    std::vector<std::int32_t> blocks, host;
    std::int64_t stored = 0, host_stored = 0;
  };

  Sequence& sequence(CallId call);
  std::vector<std::int32_t>& node(std::uint32_t id);
  std::int64_t blocks_for(std::int64_t tokens) const;
  void apply_one(const KvOp& op);
  void adopt(const KvOp& op);
  void publish(const KvOp& op);
  void evict(const KvOp& op);
  void swap_out(const KvOp& op);
  void swap_in(const KvOp& op);
  void drop_swapped(Sequence& s);
  void give_up(const KvOp& op);
  static void require(bool fact, const char* what, const KvOp& op);

  static constexpr std::int32_t kOwned = -1;
  std::int64_t block_;
  bool contiguous_;
  std::vector<std::int32_t> free_, host_free_;
  std::int32_t host_end_ = 0;
  std::vector<std::int32_t> readers_;              ///< by block: calls that use it as a node's; kOwned: no node's
  std::vector<Sequence> sequences_;                ///< by slot
  std::vector<std::vector<std::int32_t>> nodes_;   ///< blocks of a node of the prefix cache, in order
  std::vector<SwapCopy> copies_;
};

}  // namespace orrery
