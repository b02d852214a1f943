#include "sim/config/names.hpp"

#include <algorithm>
#include <limits>

namespace orrery {
namespace {

constexpr std::size_t kMaxNames = 40;    // a list longer than this helps nobody
constexpr std::size_t kMaxLength = 200;  // hostile input must not cost a quadratic table

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == '_' ? '-' : c; }

bool contains(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

std::string quoted(std::string_view s) { return '"' + std::string(s.substr(0, kMaxLength)) + '"'; }

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<int> before(width), last(width), row(width);
  for (std::size_t j = 0; j < width; ++j) last[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j < width; ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  if (name.empty() || name.size() > kMaxLength) return "";
  std::string best;
  int best_distance = std::numeric_limits<int>::max();
  for (const std::string& candidate : known) {
    const int distance = edit_distance(name, candidate);
    const int allowed = std::max<int>(2, static_cast<int>(std::max(name.size(), candidate.size())) / 3);
    const bool near = distance <= allowed && distance < static_cast<int>(std::max(name.size(), candidate.size()));
    if (near && distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (!best.empty() || name.size() < 3) return best;
  const auto holder = std::find_if(known.begin(), known.end(), [&](const std::string& k) { return contains(k, name); });
  return holder == known.end() ? "" : *holder;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  return nearest.empty() ? "" : "; did you mean " + quoted(nearest) + "?";
}

std::string unknown_name(std::string_view kind, std::string_view name, const std::vector<std::string>& known) {
  std::string message = "unknown " + std::string(kind) + " " + quoted(name);
  const std::string hint = did_you_mean(name, known);
  if (!hint.empty() || known.empty()) return message + hint;
  message += "; known: ";
  for (std::size_t i = 0; i < std::min(known.size(), kMaxNames); ++i) message += (i == 0 ? "" : ", ") + known[i];
  return known.size() > kMaxNames ? message + ", ..." : message;
}

}  // namespace orrery
