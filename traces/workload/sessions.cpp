#include "traces/workload/parts.hpp"

#include <utility>

namespace orrery {

std::optional<SessionRules> read_sessions(WorkloadContext& c, const Value& v) {
  SessionRules s;
  ObjectReader in(v, c.errors);
  if (!v.is_object()) return std::nullopt;
  for (const char* key : {"turns", "think"}) in.require(key);
  s.turns = c.counts(in, "turns", 1e6, "turns");
  const auto think = c.waits(in, "think");
  if (think) s.think = *think;
  int mode = 0;
  in.choice("mode", mode, {{"closed", 0}, {"open", 1}});
  s.closed = mode == 0;
  in.finish();
  return s.turns && think ? std::optional(std::move(s)) : std::nullopt;
}

std::vector<DeclaredPrefix> read_prefixes(WorkloadContext& c, const Value& v) {
  std::vector<DeclaredPrefix> list;
  if (!v.is_array()) {
    c.errors.add(v.pointer(), "expected an array like [{\"tokens\": 1800, \"share\": 0.6}]");
    return list;
  }
  double sum = 0;
  for (const Value& item : v.items()) {
    ObjectReader in(item, c.errors);
    DeclaredPrefix p{0, 0};
    in.require("tokens");
    in.require("share");
    in.integer("tokens", p.tokens, {1, static_cast<double>(kMaxRequestTokens)}, "tokens");
    in.number("share", p.share, {0, 1});
    in.finish();
    sum += p.share;
    list.push_back(p);
  }
  if (sum > 1 + 1e-9) c.errors.add(v.pointer(), "the shares must not exceed 1 together, got " + number_text(sum));
  return list;
}

}  // namespace orrery
