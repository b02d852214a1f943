#include "experiments/screen/text.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/screen.hpp"
#include "experiments/summary.hpp"

namespace orrery::screen {

double number_at(const Value& s, std::string_view path) {
  const Value* v = find_path(s, path);
  return v != nullptr && v->is_number() ? v->as_double() : std::nan("");
}

std::string text_at(const Value& s, std::string_view path) {
  const Value* v = find_path(s, path);
  return v != nullptr && v->is_string() ? v->as_string() : "";
}

std::int64_t count_at(const Value& s, std::string_view path) {
  const Value* v = find_path(s, path);
  return v != nullptr && v->is_number() ? v->as_int() : 0;
}

std::string joined(const Value& list, std::string_view separator) {
  std::string out;
  for (const Value& v : list.items()) out += (out.empty() ? "" : std::string(separator)) + v.as_string();
  return out;
}

std::string short_source(const std::string& source, std::string_view stops) {
  std::size_t end = std::min(source.size(), source.find_first_of(stops));
  for (const char* stop : {" (", "; ", ": "}) {
    if (source.size() > 60) end = std::min(end, source.find(stop));
  }
  return source.substr(0, end);
}

std::string padded(std::string text, std::size_t width) {
  std::size_t shown = 0;
  for (const char c : text) shown += (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;  // UTF-8 code points
  if (shown < width) text.append(width - shown, ' ');
  return text;
}

std::string line(std::string_view label, std::string_view rest) {
  constexpr std::size_t kLabel = 12, kWidth = 118;
  std::string out;
  std::string head(label);
  while (true) {
    std::size_t cut = rest.size();
    if (cut > kWidth - kLabel) {
      cut = rest.rfind(' ', kWidth - kLabel);
      if (cut == std::string_view::npos || cut == 0) cut = rest.size();
    }
    out += " " + padded(head, kLabel - 1) + std::string(rest.substr(0, cut)) + "\n";
    if (cut >= rest.size()) return out;
    rest = rest.substr(cut + 1);
    head = "";
  }
}

std::string bracket(const Value& s, const std::string& path, double scale) {
  const auto i = interval_of(s, path);
  return i ? " [" + significant(i->low * scale, 3) + ", " + significant(i->high * scale, 3) + "]" : "";
}

std::string shares_text(const Value& parts, double whole,
                        std::initializer_list<std::pair<const char*, const char*>> names) {
  std::string out;
  for (const auto& [key, label] : names) {
    const Value* part = parts.find(key);
    if (part == nullptr || !(part->as_double() >= 0.0005 * whole) || whole <= 0) continue;
    out += (out.empty() ? "" : ", ") + std::string(label) + " " + percent(part->as_double() / whole);
  }
  return out;
}

}  // namespace orrery::screen
