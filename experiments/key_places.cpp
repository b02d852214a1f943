#include "experiments/key_places.hpp"

#include <algorithm>
#include <functional>
#include <tuple>
#include <vector>

#include "experiments/schema.hpp"
#include "policies/register.hpp"
#include "sim/config/names.hpp"

namespace orrery {
namespace {

using Way = std::vector<std::string>;   ///< names from the root down

Way split(std::string_view pointer) {
  Way way;
  for (std::size_t from = 1; from < pointer.size();) {
    const std::size_t to = std::min(pointer.find('/', from), pointer.size());
    way.emplace_back(pointer.substr(from, to - from));
    from = to + 1;
  }
  return way;
}

using Visitor = std::function<void(const Way& way)>;

/// Every key that the schema knows, outer ones first where they stand in line.
void visit(const Value& schema, Way& way, const Visitor& seen) {
  const auto below = [&](const Value& v, const std::string& name, bool told) {
    way.push_back(name);
    if (told) seen(way);
    visit(v, way, seen);
    way.pop_back();
  };
  if (!schema.is_object()) return;
  if (const Value* v = schema.find("properties"); v != nullptr)
    for (const Value::Member& m : v->members()) below(m.second, m.first, true);
  if (const Value* v = schema.find("additionalProperties"); v != nullptr && v->is_object()) below(*v, "NAME", false);
  if (const Value* v = schema.find("items"); v != nullptr) below(*v, "0", false);
  for (const auto* choice : {"anyOf", "oneOf"})
    if (const Value* v = schema.find(choice); v != nullptr)
      for (const Value& one : v->items()) visit(one, way, seen);
}

}  // namespace

std::string place_of_key(const Value& schema, std::string_view pointer, std::string_view key) {
  const Way here = split(pointer);
  Way best;
  std::tuple<std::size_t, bool, std::size_t> best_rank;   // steps that are not in common, another name, steps
  const auto consider = [&](const Way& way) {
    const bool other_name = way.back() != key;
    if (other_name && same_meaning(key, {way.back()}).empty()) return;
    Way named = way;
    std::size_t common = 0;
    while (common < here.size() && common + 1 < way.size() &&
           (way[common] == here[common] || way[common] == "0" || way[common] == "NAME")) {
      named[common] = here[common];
      ++common;
    }
    if (common == here.size() && way.size() == common + 1) return;   // here, but of another kind
    const std::tuple rank{here.size() - common, other_name, way.size()};
    if (!best.empty() && rank >= best_rank) return;
    best = named;
    best_rank = rank;
  };
  Way way;
  visit(schema, way, consider);
  std::string out;
  for (const std::string& name : best) out = pointer_to(out, name);
  return out;
}

KeyPlaces key_places() {
  return [](std::string_view pointer, std::string_view key) {
    return place_of_key(run_schema(shipped_policies()), pointer, key);
  };
}

}  // namespace orrery
