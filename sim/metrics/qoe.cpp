#include "sim/metrics/qoe.hpp"

#include <algorithm>

namespace orrery {
namespace {

/// The first j in [low, high) for which `holds`, which stays true once it is; high if none.
template <class F>
std::int64_t first_that(std::int64_t low, std::int64_t high, F&& holds) {
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/// Sum over j in (low, high] of after(j), less tpot * j.
Wide slack_sum(const TokenRun& run, std::int64_t tpot, std::int64_t low, std::int64_t high) {
  const auto lines = [](std::int64_t h) { return static_cast<Wide>(h) * (h + 1) / 2; };
  const auto squares = [](std::int64_t h) { return static_cast<Wide>(h + 1) * h * (h - 1) / 6; };   // of j (j - 1) / 2
  return (lines(high) - lines(low)) * (to_ps(run.gap) - tpot) + (squares(high) - squares(low)) * to_ps(run.step);
}

}  // namespace

void QoeTimeline::token(Duration at, const QoeRule& rule) {
  taken_ = count_ == 0 ? to_ps(at) : std::max(to_ps(at), taken_ + to_ps(rule.tpot));
  ++count_;
  const std::int64_t late = taken_ - expected(rule);
  sum_ += late;
  late_ += std::max<std::int64_t>(late, 0);
}

/// After the first token the reader is `behind` what has come. While the slack j * tpot of j further tokens covers how
/// late they come, each is taken up one tpot after the one before; from then on, when it comes. Gaps only grow (step >=
/// 0), so there is one such change, and lateness, constant before it, grows after it.
void QoeTimeline::tokens(Duration at, const TokenRun& run, const QoeRule& rule) {
  token(at, rule);
  if (run.step < Duration{}) {
    for (std::int64_t j = 1; j < run.k; ++j) token(at + run.after(j), rule);
    return;
  }
  const std::int64_t tpot = to_ps(rule.tpot), last = run.k - 1;
  const std::int64_t behind = taken_ - to_ps(at), late = taken_ - expected(rule);
  const auto slip = [&](std::int64_t j) { return to_ps(run.after(j)) - j * tpot; };
  const std::int64_t paced = first_that(1, run.k, [&](std::int64_t j) { return slip(j) > behind; }) - 1;
  sum_ += static_cast<Wide>(late) * paced;
  late_ += static_cast<Wide>(std::max<std::int64_t>(late, 0)) * paced;
  if (paced < last) {
    const std::int64_t base = late - behind;   // lateness of token j is base + slip(j)
    sum_ += static_cast<Wide>(base) * (last - paced) + slack_sum(run, tpot, paced, last);
    const std::int64_t on_time = first_that(paced + 1, run.k, [&](std::int64_t j) { return base + slip(j) > 0; }) - 1;
    late_ += static_cast<Wide>(base) * (last - on_time) + slack_sum(run, tpot, on_time, last);
    taken_ = to_ps(at + run.after(last));
  } else {
    taken_ += paced * tpot;
  }
  count_ += last;
}

double QoeTimeline::value(const QoeRule& rule) const {
  if (count_ == 0) return 0;
  if (taken_ <= expected(rule)) return 1;
  const std::int64_t tpot = to_ps(rule.tpot);
  const Wide twice = static_cast<Wide>(count_) * (2 * (taken_ + tpot - to_ps(rule.ttft)) - count_ * tpot);
  const Wide lost = rule.first_formula ? sum_ : late_;
  if (lost <= 0) return 1;
  return std::max(0.0, 1 - 2 * static_cast<double>(lost) / static_cast<double>(twice));
}

void QoeMeter::on_asked(CallId id, const Call& call, Tokens32) {
  if (readers_.size() <= id.index) readers_.resize(id.index + std::size_t{1});
  readers_[id.index] = {call.arrival, {}};
}

void QoeMeter::on_anew(CallId now, CallId next) { readers_[next.index] = {readers_[now.index].asked, {}}; }

void QoeMeter::on_token(CallId id, const Call& call, bool, Time now) {
  const QoeRule& r = rule(call.request_class);
  Reader& reader = readers_[id.index];
  if (r.tpot > Duration{}) reader.timeline.token(now - reader.asked, r);
}

void QoeMeter::on_tokens(std::span<const CallId> members, std::span<const CallRow> rows, const TokenRun& run) {
  for (CallId id : members) {
    const QoeRule& r = rule(rows[id.index].call.request_class);
    Reader& reader = readers_[id.index];
    if (r.tpot > Duration{}) reader.timeline.tokens(run.first - reader.asked, run, r);
  }
}

void QoeMeter::on_left(CallId id, Row& row) {
  const QoeRule& r = rule(row.request_class);
  if (r.tpot == Duration{}) return;
  row.qoe = row.status == Status::kDone ? readers_[id.index].timeline.value(r) : 0;
}

}  // namespace orrery
