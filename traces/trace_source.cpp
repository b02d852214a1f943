#include "traces/trace_source.hpp"

#include <algorithm>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kLapShift = 40;       // entity of row n in lap l: l * 2^40 + n
constexpr std::uint64_t kSessionSalt = 0x73657373696f6e00;   // "session"
constexpr std::uint64_t kCopySalt = 0x636f707900000000;      // "copy"

std::uint64_t history_key(std::uint32_t session) { return hash_combine(kSessionSalt, session); }

Time deadline_of(Time arrival, Duration after) {
  return after == Duration::max() || after > kNever - arrival ? kNever : arrival + after;
}

/// Appends this turn to its session; the request's segments become the whole conversation.
void remember(History& h, std::span<const Segment> own, Request& out) {
  if (h.turns() == 0 && !own.empty()) h.start_with(own.front());
  out.turn = h.turns();
  h.ask_in_all(out.prompt_tokens.value());
  out.output_key = h.answer(out.output_tokens.value());
  out.segments = h.segments();
}

}  // namespace

TraceSource::TraceSource(TraceReader reader, TraceRules rules, std::unique_ptr<ArrivalProcess> arrivals,
                         std::uint64_t seed)
    : reader_(std::move(reader)),
      rules_(std::move(rules)),
      arrivals_(std::move(arrivals)),
      seed_(seed),
      lengths_(nullptr, rules_.lengths, seed),
      prefixes_(rules_.prefixes, seed),
      resamples_(rules_.factor != 1 && rules_.method == ScaleMethod::kResample),
      limits_(rules_.lengths.max_tokens.has_value() || rules_.lengths.max_total > 0) {
  reader_.rewind();
  advance();
  find_next();
}

Time TraceSource::run_time(Time on_trace) const {
  const Duration since = on_trace - rules_.from;
  if (rules_.factor == 1 || resamples_) return Time{since};
  return Time{from_seconds(to_seconds(since) / rules_.factor)};
}

void TraceSource::advance() {
  for (int rewinds = 0;; ++rewinds) {
    while ((row_ = reader_.next()) != nullptr && row_->request.arrival < rules_.from) {}
    if (row_ != nullptr && row_->request.arrival >= rules_.to) row_ = nullptr;
    if (row_ != nullptr || !arrivals_ || rewinds > 0) return;
    reader_.rewind();   // a trace of lengths goes round; an empty window does not
    ++lap_;
  }
}

void TraceSource::find_next() {
  arrival_ = kNever;
  if (rules_.requests >= 0 && popped_ >= rules_.requests) return;
  if (arrivals_) {
    if (row_ != nullptr) arrival_ = arrivals_->next();
  } else if (resamples_) {
    resample();
    if (!waiting_.empty()) arrival_ = waiting_.front()->row.request.arrival;
  } else if (row_ != nullptr) {
    arrival_ = run_time(row_->request.arrival);
  }
}

void TraceSource::resample() {
  // No later row makes a copy that comes before the row itself.
  while (row_ != nullptr &&
         (waiting_.empty() || run_time(row_->request.arrival) <= waiting_.front()->row.request.arrival)) {
    const Request& r = row_->request;
    Rng rng(seed_, Purpose::kResample, r.session != 0 ? hash_combine(kSessionSalt, r.session) : r.number);
    const auto whole = static_cast<std::int64_t>(rules_.factor);
    const std::int64_t copies = whole + (rng.uniform() < rules_.factor - static_cast<double>(whole));
    for (std::int64_t copy = 0; copy < copies; ++copy) add_copy(copy);
    advance();
  }
}

void TraceSource::add_copy(std::int64_t copy) {
  auto c = std::make_unique<Copy>();
  c->row = *row_;
  c->order = order_++;
  Request& r = c->row.request;
  c->segments.assign(r.segments.begin(), r.segments.end());
  r.arrival = run_time(r.arrival);
  const std::uint64_t original = r.session != 0 ? hash_combine(kSessionSalt, r.session) : r.number;
  c->entity = r.number;
  if (copy > 0) {
    const auto which = static_cast<std::uint64_t>(copy);
    c->entity = hash_combine(hash_combine(kCopySalt, r.number), which);
    Rng rng(seed_, Purpose::kResample, hash_combine(hash_combine(kCopySalt, original), which));
    r.arrival += from_seconds(rng.uniform() * to_seconds(kResampleSpread));
    for (std::size_t i = c->row.declared_prefix ? 1 : 0; i < c->segments.size(); ++i) {
      c->segments[i].key = hash_combine(hash_combine(kCopySalt, which), c->segments[i].key);   // another user's text
    }
  }
  if (r.session != 0) {
    const auto fresh = static_cast<std::uint32_t>(copied_sessions_.size() + 1);
    r.session =
        copied_sessions_.try_emplace(hash_combine(original, static_cast<std::uint64_t>(copy)), fresh).first->second;
  }
  r.segments = c->segments;
  waiting_.push_back(std::move(c));
  std::push_heap(waiting_.begin(), waiting_.end(), Later{});
}

void TraceSource::pop(Request& out, Duration& think) {
  if (resamples_ && !arrivals_) {
    std::pop_heap(waiting_.begin(), waiting_.end(), Later{});
    const std::unique_ptr<Copy> copy = std::move(waiting_.back());
    waiting_.pop_back();
    think = copy->row.think;
    hand_out(copy->row, copy->entity, out);
  } else {
    think = row_->think;
    hand_out(*row_, lap_ << kLapShift | row_->request.number, out);
    advance();
  }
  find_next();
}

void TraceSource::hand_out(const TraceRow& row, std::uint64_t entity, Request& out) {
  out = row.request;
  out.number = static_cast<std::uint64_t>(popped_++);
  out.arrival = arrival_;
  out.deadline = deadline_of(arrival_, row.deadline_after);
  if (limits_) lengths_.limit(entity, out);
  else if (out.max_tokens.value() == 0) out.max_tokens = out.output_tokens;

  segments_.clear();
  std::int64_t left = out.prompt_tokens.value();   // a prompt that was cut keeps the segments that still fit
  for (const Segment& s : out.segments) {
    if (s.tokens.value() > left) break;
    segments_.push_back(s);
    left -= s.tokens.value();
  }
  if (lap_ > 0) {
    for (std::size_t i = row.declared_prefix ? 1 : 0; i < segments_.size(); ++i) {
      segments_[i].key = hash_combine(hash_combine(kLapShift, lap_), segments_[i].key);
    }
  }
  if (segments_.empty()) {
    const Segment* prefix = prefixes_.of(out.session != 0 ? history_key(out.session) : entity);
    if (prefix != nullptr && prefix->tokens <= out.prompt_tokens) segments_.push_back(*prefix);
  }
  out.segments = segments_;
  if (out.session != 0 && rules_.histories) {
    remember(sessions_.try_emplace(out.session, history_key(out.session)).first->second, segments_, out);
  }
}

ClosedTraceSource::ClosedTraceSource(TraceSource rows) {
  std::unordered_map<std::uint32_t, std::uint32_t> last;   // row of each session
  Request r;
  Duration think;
  while (rows.peek() != kNever) {
    rows.pop(r, think);
    const auto index = static_cast<std::uint32_t>(rows_.size());
    const Duration deadline = r.deadline == kNever ? Duration::max() : r.deadline - r.arrival;
    rows_.push_back({r, std::max(think, Duration{}), deadline, segments_.size(), r.segments.size(), kNone});
    segments_.insert(segments_.end(), r.segments.begin(), r.segments.end());
    const auto [it, first] = last.try_emplace(r.session, index);
    if (r.session == 0 || first) due_.push({r.arrival, index});
    else rows_[it->second].next = index;
    it->second = index;
  }
}

Time ClosedTraceSource::peek() const { return due_.empty() ? kNever : due_.top().arrival; }

void ClosedTraceSource::pop(Request& out) {
  const Due due = due_.top();
  due_.pop();
  const Row& row = rows_[due.row];
  out = row.request;
  out.number = static_cast<std::uint64_t>(popped_++);
  out.arrival = due.arrival;
  out.deadline = deadline_of(due.arrival, row.deadline_after);
  if (row.next != kNone) in_service_.emplace(out.number, due.row);
  out.segments = {segments_.data() + row.first_segment, row.segments};
  if (out.session != 0) {
    remember(sessions_.try_emplace(out.session, history_key(out.session)).first->second, out.segments, out);
    if (row.next == kNone) out.output_key = 0;
  }
}

void ClosedTraceSource::on_done(const Request& request, Time now) {
  const auto it = in_service_.find(request.number);
  if (it == in_service_.end()) return;
  const std::uint32_t next = rows_[it->second].next;
  in_service_.erase(it);
  due_.push({now + rows_[next].think, next});
}

}  // namespace orrery
