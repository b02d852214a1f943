#include "traces/prefix.hpp"

#include <algorithm>
#include <utility>

namespace orrery {
namespace {

constexpr std::uint64_t kDeclaredSalt = 0x6465636c61726564;   // "declared"
constexpr std::uint64_t kReuseSalt = 0x7265757365000000;      // "reuse"
constexpr std::uint64_t kRoot = ~std::uint64_t{0};            // owner of the block that all conversations share
constexpr std::uint64_t kSearch = 512;                        // how far around the drawn age a parent is looked for

Tokens32 tokens32(std::int64_t n) { return Tokens32{static_cast<std::int32_t>(n)}; }

}  // namespace

DeclaredPrefixes::DeclaredPrefixes(std::vector<DeclaredPrefix> list, std::uint64_t seed)
    : list_(std::move(list)), seed_(seed) {
  for (std::size_t i = 0; i < list_.size(); ++i) {
    segments_.push_back({hash_combine(kDeclaredSalt, i), tokens32(list_[i].tokens)});
  }
}

const Segment* DeclaredPrefixes::of(std::uint64_t entity) const {
  if (list_.empty()) return nullptr;
  double u = Rng(seed_, Purpose::kPrefix, entity).uniform();
  for (std::size_t i = 0; i < list_.size(); ++i) {
    if (u < list_[i].share) return &segments_[i];
    u -= list_[i].share;
  }
  return nullptr;
}

double DeclaredPrefixes::mean_tokens() const {
  double mean = 0;
  for (const DeclaredPrefix& p : list_) mean += static_cast<double>(p.tokens) * p.share;
  return mean;
}

void History::start_with(const Segment& prefix) {
  segments_.push_back(prefix);
  tokens_ += prefix.tokens.value();
  prompt_segments_ = segments_.size();
}

void History::ask(std::int64_t new_tokens) {
  if (new_tokens > 0) segments_.push_back({hash_combine(key_, pieces_), tokens32(new_tokens)});
  ++pieces_;
  ++turns_;
  tokens_ += new_tokens;
  prompt_segments_ = segments_.size();
}

void History::ask_in_all(std::int64_t prompt_tokens) {
  if (prompt_tokens < tokens_) {
    segments_.clear();
    tokens_ = 0;
  }
  ask(prompt_tokens - tokens_);
}

std::uint64_t History::answer(std::int64_t output_tokens) {
  const std::uint64_t key = hash_combine(key_, pieces_++);
  segments_.push_back({key, tokens32(output_tokens)});
  tokens_ += output_tokens;
  return key;
}

PrefixReuse::PrefixReuse(ReuseModel model, QuantileGrid prompt, std::uint64_t seed)
    : model_(std::move(model)), prompt_(std::move(prompt)), seed_(seed),
      ring_(static_cast<std::size_t>(model_.age.max()) + kSearch + 1), full_blocks_(ring_.size(), 0) {}

bool PrefixReuse::find_parent(std::uint64_t n, std::uint64_t age, std::int32_t blocks, std::uint64_t& parent) const {
  const std::uint64_t oldest = n > ring_.size() - 1 ? n - (ring_.size() - 1) : 0;
  const std::uint64_t at = n > age ? n - age : 0;
  for (std::uint64_t d = 0; d <= kSearch; ++d) {
    if (at >= oldest + d && at < n + d && full_blocks_[(at - d) % ring_.size()] >= blocks) return parent = at - d, true;
    if (at + d >= oldest && at + d < n && full_blocks_[(at + d) % ring_.size()] >= blocks) return parent = at + d, true;
  }
  return false;
}

std::span<const Segment> PrefixReuse::segments(std::uint64_t n, std::int64_t prompt_tokens) {
  const std::int64_t block = model_.block_tokens;
  const auto full = static_cast<std::int32_t>(prompt_tokens / block);
  const auto blocks = static_cast<std::int32_t>(ceil_div(prompt_tokens, block));
  Rng rng(seed_, Purpose::kPrefix, n);
  const double u_root = rng.uniform(), u_continuing = rng.uniform(), u_shared = rng.uniform(), u_age = rng.uniform();

  std::vector<Run>& runs = ring_[n % ring_.size()];
  runs.clear();
  full_blocks_[n % ring_.size()] = full;
  // A prompt's place in rank: the middle of its own mass, so that it falls into the share it was fitted in.
  const double rank = std::min((prompt_.cdf(prompt_tokens) + prompt_.cdf(prompt_tokens - 1)) / 2, 0x1.fffffep-1);
  const auto share = static_cast<std::size_t>(rank * static_cast<double>(model_.continuing.size()));
  std::uint64_t parent = 0;
  std::int32_t shared = 0;
  if (full >= 2 && u_continuing < model_.continuing[share]) {
    const auto thousandths = model_.shared[share].at(u_shared);
    shared = std::clamp(static_cast<std::int32_t>((thousandths * blocks + 500) / 1000), 2, full);
    if (!find_parent(n, static_cast<std::uint64_t>(model_.age.at(u_age)), shared, parent)) shared = 0;
  }
  if (shared > 0) {
    for (const Run& run : entry(parent)) {
      runs.push_back({run.owner, std::min(run.end, shared)});
      if (run.end >= shared) break;
    }
  } else if (full >= 1 && u_root < model_.root_share) {
    runs.push_back({kRoot, 1});
  }
  if (runs.empty() || runs.back().end < blocks) runs.push_back({n, blocks});

  segments_.clear();
  std::int32_t j = 0;
  for (const Run& run : runs) {
    const std::uint64_t base = hash_combine(kReuseSalt, run.owner);
    for (; j < run.end; ++j) {
      segments_.push_back(
          {hash_combine(base, static_cast<std::uint64_t>(j)), tokens32(std::min(block, prompt_tokens - j * block))});
    }
  }
  return segments_;
}

}  // namespace orrery
