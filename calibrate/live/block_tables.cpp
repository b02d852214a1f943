#include "calibrate/live/block_tables.hpp"

#include <bit>

namespace orrery {

BlockTables::BlockTables(const KvConfig& kv) : block_(kv.block_tokens.value()), contiguous_(kv.contiguous) {
  const auto blocks = static_cast<std::int32_t>(kv.total.value());
  readers_.assign(static_cast<std::size_t>(blocks), kOwned);
  for (std::int32_t b = blocks; b-- > 0;) free_.push_back(b);
}

BlockTables::Sequence& BlockTables::sequence(CallId call) {
  if (sequences_.size() <= call.index) sequences_.resize(call.index + 1);
  return sequences_[call.index];
}

std::vector<std::int32_t>& BlockTables::node(std::uint32_t id) {
  if (nodes_.size() <= id) nodes_.resize(id + 1);
  return nodes_[id];
}

std::int64_t BlockTables::blocks_for(std::int64_t tokens) const {
  if (contiguous_)
    return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(1, tokens))));
  return ceil_div(tokens, block_);
}

void BlockTables::apply(std::span<const KvOp> journal) {
  copies_.clear();
  for (const KvOp& op : journal) apply_one(op);
}

void BlockTables::apply_one(const KvOp& op) {
  switch (op.kind) {
    case KvOp::kAlloc: return reserve(op.call, op.tokens.value());
    case KvOp::kAdopt: return adopt(op);
    case KvOp::kPublish: return publish(op);
    case KvOp::kEvict: return evict(op);
    case KvOp::kSwapOut: return swap_out(op);
    case KvOp::kSwapIn: return swap_in(op);
    case KvOp::kDropSwapped: return drop_swapped(sequence(op.call));
    case KvOp::kFree: return give_up(op);
  }
}

void BlockTables::reserve(CallId call, std::int64_t tokens) {
  Sequence& s = sequence(call);
  for (auto missing = blocks_for(tokens) - static_cast<std::int64_t>(s.blocks.size()); missing > 0; --missing) {
    require(!free_.empty(), "no free block", {.kind = KvOp::kAlloc, .call = call, .tokens = Tokens{tokens}});
    s.blocks.push_back(free_.back());
    free_.pop_back();
  }
}

void BlockTables::adopt(const KvOp& op) {
  Sequence& s = sequence(op.call);
  const auto& theirs = node(op.node);
  const std::int64_t begin = op.from.value() / block_, count = op.tokens.value() / block_ - begin;
  require(static_cast<std::int64_t>(s.blocks.size()) == begin && count <= static_cast<std::int64_t>(theirs.size()),
          "a prefix that the node does not have", op);
  for (std::int64_t i = 0; i < count; ++i) {
    s.blocks.push_back(theirs[static_cast<std::size_t>(i)]);
    ++readers_[static_cast<std::size_t>(s.blocks.back())];
  }
  s.stored = op.tokens.value();
}

void BlockTables::publish(const KvOp& op) {
  Sequence& s = sequence(op.call);
  auto& theirs = node(op.node);
  require(op.tokens.value() <= s.stored, "tokens whose KV is not computed", op);
  for (std::int64_t b = op.from.value() / block_; b < op.tokens.value() / block_; ++b) {
    const std::int32_t block = s.blocks[static_cast<std::size_t>(b)];
    require(readers_[static_cast<std::size_t>(block)] == kOwned, "a block that is another node's", op);
    readers_[static_cast<std::size_t>(block)] = 1;
    theirs.push_back(block);
  }
}

void BlockTables::evict(const KvOp& op) {
  auto& theirs = node(op.node);
  const std::int64_t count = (op.tokens - op.from).value() / block_;
  require(count <= static_cast<std::int64_t>(theirs.size()), "more than the node has", op);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t block = theirs.back();
    require(readers_[static_cast<std::size_t>(block)] == 0, "a block that a call still reads", op);
    readers_[static_cast<std::size_t>(block)] = kOwned;
    free_.push_back(block);
    theirs.pop_back();
  }
}

void BlockTables::swap_out(const KvOp& op) {
  Sequence& s = sequence(op.call);
  require(s.stored == op.tokens.value() && s.host.empty(), "other KV than the call has", op);
  for (std::int64_t b = 0; b < ceil_div(s.stored, block_); ++b) {
    if (host_free_.empty()) host_free_.push_back(host_end_++);
    s.host.push_back(host_free_.back());
    host_free_.pop_back();
    copies_.push_back({true, s.blocks[static_cast<std::size_t>(b)], s.host.back()});
  }
  s.host_stored = s.stored;
}

void BlockTables::swap_in(const KvOp& op) {
  Sequence& s = sequence(op.call);
  require(s.blocks.empty() && s.host_stored > 0, "a call that is not swapped out", op);
  reserve(op.call, op.tokens.value());
  for (std::size_t b = 0; b < s.host.size(); ++b) copies_.push_back({false, s.blocks[b], s.host[b]});
  s.stored = s.host_stored;
  drop_swapped(s);
}

void BlockTables::drop_swapped(Sequence& s) {
  host_free_.insert(host_free_.end(), s.host.begin(), s.host.end());
  s.host.clear();
  s.host_stored = 0;
}

void BlockTables::give_up(const KvOp& op) {
  Sequence& s = sequence(op.call);
  for (const std::int32_t block : s.blocks) {
    std::int32_t& readers = readers_[static_cast<std::size_t>(block)];
    if (readers == kOwned) free_.push_back(block);
    else --readers;
  }
  s.blocks.clear();
  s.stored = 0;
}

void BlockTables::require(bool fact, const char* what, const KvOp& op) {
  if (fact) return;
  constexpr const char* kinds[] = {"alloc", "adopt", "publish", "evict", "swap out", "swap in", "drop swapped", "free"};
  throw EngineError(std::string("block tables: ") + kinds[op.kind] + " of slot " + std::to_string(op.call.index) +
                    ", tokens " + std::to_string(op.from.value()) + " to " + std::to_string(op.tokens.value()) + ", node " +
                    std::to_string(op.node) + ": " + what);
}

}  // namespace orrery
