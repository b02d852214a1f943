#include "experiments/summary.hpp"

namespace orrery {

std::string hex16(std::uint64_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) out[static_cast<std::size_t>(i)] = digits[value & 15u];
  return out;
}

std::string hash_text(std::string_view text) {
  std::uint64_t h = text.size();
  for (const char c : text) h = hash_combine(h, static_cast<unsigned char>(c));
  return hex16(h);
}

const Value* find_path(const Value& summary, std::string_view dotted) {
  const Value* at = &summary;
  while (at != nullptr && !dotted.empty()) {
    const std::size_t dot = dotted.find('.');
    at = at->find(dotted.substr(0, dot));
    dotted = dot == std::string_view::npos ? "" : dotted.substr(dot + 1);
  }
  return at;
}

std::optional<Interval> interval_of(const Value& summary, const std::string& dotted) {
  const Value* values = find_path(summary, "intervals.values");
  const Value* pair = values == nullptr ? nullptr : values->find(dotted);
  if (pair == nullptr) return std::nullopt;
  return Interval{pair->items()[0].as_double(), pair->items()[1].as_double()};
}

}  // namespace orrery
