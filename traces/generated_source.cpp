#include "traces/generated_source.hpp"

#include <algorithm>

#include "traces/trace_reader.hpp"

namespace orrery {

void add_prefix(const Segment* prefix, const LengthRules& rules, Request& r) {
  if (prefix == nullptr) return;
  const std::int64_t limit = rules.max_total > 0 ? rules.max_total - r.output_tokens.value() : kMaxRequestTokens;
  const std::int64_t prompt = std::min<std::int64_t>(prefix->tokens.value() + r.prompt_tokens.value(), limit);
  if (prompt < prefix->tokens.value()) return;   // no room for it: the request goes without
  r.prompt_tokens = Tokens32{static_cast<std::int32_t>(prompt)};
  r.segments = {prefix, 1};
}

void GeneratedSource::pop(Request& out) {
  const auto n = static_cast<std::uint64_t>(number_);
  out = Request{};
  out.number = n;
  out.arrival = arrival_;
  lengths_.draw(n, out);
  if (reuse_) {
    out.segments = reuse_->segments(n, out.prompt_tokens.value());
  } else {
    add_prefix(prefixes_.of(n), lengths_.rules(), out);
  }
  arrival_ = ++number_ < requests_ ? arrivals_->next() : kNever;
}

}  // namespace orrery
