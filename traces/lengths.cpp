#include "traces/lengths.hpp"

#include <algorithm>

#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

Tokens32 tokens(std::int64_t n) {
  return Tokens32{static_cast<std::int32_t>(std::clamp<std::int64_t>(n, 1, kMaxRequestTokens))};
}

}  // namespace

PairLengths::PairLengths(std::vector<std::pair<std::int32_t, std::int32_t>> rows) : rows_(std::move(rows)) {
  Wide prompt = 0, output = 0;
  for (const auto& [p, o] : rows_) {
    prompt += p;
    output += o;
  }
  const auto n = static_cast<double>(rows_.size());
  mean_prompt_ = static_cast<double>(prompt) / n;
  mean_output_ = static_cast<double>(output) / n;
}

void Lengths::draw(std::uint64_t entity, Request& r) const {
  Rng prompt(seed_, Purpose::kLength, entity * 2), output(seed_, Purpose::kLength, entity * 2 + 1);
  const LengthModel::Pair pair = model_->draw(prompt, output);
  r.max_tokens = Tokens32{};
  finish(pair.prompt, pair.output, output, r);
}

void Lengths::limit(std::uint64_t entity, Request& r) const {
  Rng output(seed_, Purpose::kLength, entity * 2 + 1);
  finish(r.prompt_tokens.value(), r.output_tokens.value(), output, r);
}

void Lengths::finish(std::int64_t prompt, std::int64_t output, Rng& rng, Request& r) const {
  std::int64_t asked = r.max_tokens.value();   // 0: not stated by a trace
  if (rules_.max_tokens) {
    asked = std::min(rules_.max_tokens->count(rng), kMaxRequestTokens);
    output = std::min(output, asked);
  }
  if (rules_.max_total > 0) {
    prompt = std::min(prompt, rules_.max_total - 1);
    output = std::min(output, rules_.max_total - prompt);
    if (asked > 0) asked = std::clamp(asked, output, std::max(output, rules_.max_total - prompt));
  }
  r.prompt_tokens = tokens(prompt);
  r.output_tokens = tokens(output);
  r.max_tokens = asked > 0 ? tokens(asked) : r.output_tokens;
}

}  // namespace orrery
