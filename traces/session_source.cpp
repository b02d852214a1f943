#include "traces/session_source.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/rng.hpp"
#include "traces/generated_source.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kUserShift = 40;       // entity of a user's n-th session: user * 2^40 + n
constexpr std::uint64_t kMaxTurns = 1 << 20;

/// from + seconds (none if negative); kNever beyond the horizon.
Time after(Time from, double seconds) {
  const double wait = std::max(seconds, 0.0);
  return to_seconds(from) + wait < static_cast<double>(kMaxTraceSeconds) ? from + from_seconds(wait) : kNever;
}

}  // namespace

SessionSource::SessionSource(std::int64_t requests, std::unique_ptr<ArrivalProcess> starts, SessionRules rules,
                             Lengths lengths, DeclaredPrefixes prefixes, std::uint64_t seed)
    : requests_(requests), starts_(std::move(starts)), rules_(std::move(rules)), lengths_(std::move(lengths)),
      prefixes_(std::move(prefixes)), seed_(seed) {
  next_start_ = starts_->next();
}

SessionSource::SessionSource(std::int64_t requests, std::int64_t users, SessionRules rules, Lengths lengths,
                             DeclaredPrefixes prefixes, std::uint64_t seed)
    : requests_(requests), rules_(std::move(rules)), lengths_(std::move(lengths)), prefixes_(std::move(prefixes)),
      seed_(seed), user_sessions_(static_cast<std::size_t>(users), 0) {
  for (std::int64_t user = 0; user < users; ++user) {
    const std::uint64_t entity = static_cast<std::uint64_t>(user) << kUserShift;
    Rng rng(seed_, Purpose::kThink, hash_combine(entity, kMaxTurns));
    start(entity, user, after(Time{}, rules_.pause.sample(rng)));
  }
}

std::uint64_t SessionSource::turn_entity(const Session& s) const {
  return rules_.turns ? hash_combine(s.entity, s.turn) : s.entity;
}

void SessionSource::start(std::uint64_t entity, std::int64_t user, Time arrival) {
  std::uint32_t slot = static_cast<std::uint32_t>(slots_.size());
  if (free_slots_.empty()) {
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Session& s = slots_[slot];
  s = Session{};
  s.entity = entity;
  s.user = user;
  ++started_;
  if (user >= 0) ++user_sessions_[static_cast<std::size_t>(user)];
  const std::uint64_t key = mix64(hash_combine(static_cast<std::uint64_t>(Purpose::kSession), entity));
  s.history = History(key);
  if (rules_.turns) {
    s.name = static_cast<std::uint32_t>(started_);
    Rng rng(seed_, Purpose::kSession, entity);
    s.turns = static_cast<std::uint32_t>(std::min<std::int64_t>(rules_.turns->count(rng), kMaxTurns));
    if (const Segment* prefix = prefixes_.of(entity)) s.history.start_with(*prefix);
  }
  prepare(s);
  schedule(slot, arrival);
}

void SessionSource::schedule(std::uint32_t slot, Time arrival) { due_.push({arrival, order_++, slot}); }

bool SessionSource::prepare(Session& s) {
  if (s.turn >= s.turns) return false;
  s.next = Request{};
  lengths_.draw(turn_entity(s), s.next);
  if (!rules_.turns) {
    add_prefix(prefixes_.of(s.entity), lengths_.rules(), s.next);
    return true;
  }
  const std::int64_t limit = lengths_.rules().max_total > 0 ? lengths_.rules().max_total : kMaxRequestTokens;
  const std::int64_t total = s.history.tokens() + s.next.prompt_tokens.value() + s.next.output_tokens.value();
  return total <= limit || s.turn == 0;
}

Time SessionSource::peek() const {
  if (popped_ >= requests_) return kNever;
  return std::min(next_start_, due_.empty() ? kNever : due_.top().arrival);
}

void SessionSource::pop(Request& out) {
  for (std::uint32_t slot : ended_) free_slots_.push_back(slot);
  ended_.clear();
  if (starts_ && (due_.empty() || next_start_ < due_.top().arrival)) {
    const Time arrival = next_start_;
    next_start_ = starts_->next();
    start(started_, -1, arrival);
  }
  const Due due = due_.top();
  due_.pop();
  Session& s = slots_[due.slot];
  out = s.next;
  out.number = static_cast<std::uint64_t>(popped_++);
  out.arrival = due.arrival;
  out.turn = s.turn;
  if (rules_.turns) {
    out.session = s.name;
    const std::int64_t room = kMaxRequestTokens - out.output_tokens.value();
    const std::int64_t limit =
        std::min(room, lengths_.rules().max_total > 0 ? lengths_.rules().max_total - out.output_tokens.value() : room);
    const std::int64_t added =
        std::min<std::int64_t>(out.prompt_tokens.value(), std::max<std::int64_t>(limit - s.history.tokens(), 1));
    s.history.ask(added);
    out.prompt_tokens = Tokens32{static_cast<std::int32_t>(s.history.tokens())};
    const std::uint64_t key = s.history.answer(out.output_tokens.value());
    out.output_key = s.turn + 1 < s.turns ? key : 0;
    out.segments = s.history.segments();
  }
  const bool waits = rules_.closed || s.user >= 0;
  if (waits && (s.user >= 0 || s.turn + 1 < s.turns)) {
    in_service_.emplace(out.number, due.slot);
  } else if (!waits) {
    go_on(due.slot, due.arrival);
  } else {
    ended_.push_back(due.slot);
  }
}

void SessionSource::on_done(const Request& request, Time now) {
  const auto it = in_service_.find(request.number);
  if (it == in_service_.end()) return;
  const std::uint32_t slot = it->second;
  in_service_.erase(it);
  go_on(slot, now);
}

void SessionSource::go_on(std::uint32_t slot, Time from) {
  Session& s = slots_[slot];
  ++s.turn;
  if (!prepare(s)) {
    end(slot, from);
    return;
  }
  Rng rng(seed_, Purpose::kThink, hash_combine(s.entity, s.turn));
  schedule(slot, after(from, rules_.think.sample(rng)));
}

void SessionSource::end(std::uint32_t slot, Time now) {
  const std::int64_t user = slots_[slot].user;
  ended_.push_back(slot);
  if (user < 0) return;
  const std::uint64_t entity =
      static_cast<std::uint64_t>(user) << kUserShift | user_sessions_[static_cast<std::size_t>(user)];
  Rng rng(seed_, Purpose::kThink, hash_combine(entity, kMaxTurns));
  start(entity, user, after(now, rules_.pause.sample(rng)));
}

}  // namespace orrery
