#include "calibrate/live/live_step_engine.hpp"

#include <numeric>
#include <stdexcept>

#include "calibrate/live/token_stream.hpp"

namespace orrery {
namespace {

std::int32_t small(std::int64_t n) { return static_cast<std::int32_t>(n); }

}  // namespace

LiveStepEngine::LiveStepEngine(const LiveDevice& device, const LiveStepEngineOptions& o)
    : name_(device.name()), row_tile_(device.row_tile()), vocabulary_(device.vocabulary()),
      pages_(ceil_div(o.max_context, o.block_tokens)), block_tokens_(o.block_tokens),
      replica_(device.replica({.blocks = small(o.max_sequences * pages_), .block_tokens = small(o.block_tokens)})),
      blocks_(static_cast<std::size_t>(o.max_sequences * pages_)) {
  std::iota(blocks_.begin(), blocks_.end(), 0);
}

double LiveStepEngine::run(const StepBatch& batch) {
  constexpr double kBurst = 6e-3;
  once(batch);
  double sum = 0;
  int times = 0;
  for (; times == 0 || sum < kBurst; ++times) sum += once(batch);
  return sum / times;
}

double LiveStepEngine::once(const StepBatch& batch) {
  const double begin = replica_->seconds();
  ++repeats_;
  tokens_.clear();
  work_.clear();
  for (const Tokens context : batch.decodes) add(context.value() - 1, 1);
  for (const ChunkShape& c : batch.chunks) add(c.context.value(), c.q.value());
  std::size_t at = 0;
  for (Work& w : work_) {   // tokens_ has its final place
    w.tokens = std::span<const std::int32_t>(tokens_).subspan(at, w.tokens.size());
    at += w.tokens.size();
  }
  replica_->run(work_);
  return replica_->seconds() - begin;
}

void LiveStepEngine::add(std::int64_t context, std::int64_t q) {
  const std::int64_t first = static_cast<std::int64_t>(work_.size()) * pages_,
                     need = ceil_div(context + q, block_tokens_);
  if (need > pages_ || first + need > static_cast<std::int64_t>(blocks_.size()))
    throw std::length_error("a batch larger than max_sequences sequences of max_context tokens");
  const Segment text{hash_combine(repeats_, static_cast<std::uint64_t>(first)), Tokens32{small(context + q)}};
  append_tokens({&text, 1}, context, q, small(vocabulary_), tokens_);
  work_.push_back({.context = small(context),
                   .tokens = std::span<const std::int32_t>(tokens_).last(static_cast<std::size_t>(q)),
                   .blocks = std::span<const std::int32_t>(blocks_).subspan(static_cast<std::size_t>(first),
                                                                            static_cast<std::size_t>(need))});
}

}  // namespace orrery
