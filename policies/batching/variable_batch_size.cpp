#include "policies/batching/variable_batch_size.hpp"

#include <algorithm>

namespace orrery {

Tokens bucket_of(const Call& call, Tokens width) {
  const Tokens32 length = call.predicted_high > Tokens32{} ? call.predicted_high : call.max_tokens;
  return width * ceil_div(length.value(), width.value());
}

std::size_t batch_size(Tokens length) {
  const std::int64_t n = length.value();
  return n <= 50 ? 256 : n <= 100 ? 128 : n <= 150 ? 64 : n <= 200 ? 32 : 16;
}

std::size_t next_batch(std::vector<Sized>& calls) {
  const auto at = calls.begin();
  std::ptrdiff_t moved = 0, end = 0;                         // calls[0, moved) came up from shorter buckets
  for (; end < std::ssize(calls); moved = end) {
    const Tokens bucket = calls[static_cast<std::size_t>(end)].length;
    while (end < std::ssize(calls) && calls[static_cast<std::size_t>(end)].length == bucket) ++end;
    const auto size = static_cast<std::ptrdiff_t>(batch_size(bucket));
    const bool last = end == std::ssize(calls);
    if (end < std::max<std::ptrdiff_t>(size / 2, 16) && !last) continue;
    std::rotate(at, at + moved, at + end);                   // its own calls go before those
    return static_cast<std::size_t>(std::min(end, size));
  }
  return 0;
}

}  // namespace orrery
