#include "sim/engine/charges.hpp"

#include <algorithm>

#include "sim/metrics/timeline.hpp"

namespace orrery {
namespace {

/// Energy of k iterations.
Wide energy_of(std::int64_t k, const StepRun& run) {
  return static_cast<Wide>(run.e_first.value()) * k + static_cast<Wide>(run.e_step.value()) * (k * (k - 1) / 2);
}

/// Energy that k iterations from `start` have spent until `t`, in them.
Wide spent_until(Time t, Time start, std::int64_t k, const StepRun& run) {
  const std::int64_t j = iterations_within(run, k, t - start);
  const Wide whole = energy_of(j, run);
  if (j == k) return whole;
  const std::int64_t gone = to_ps(t - start - run.total(j)), length = to_ps(run.at(j));
  return whole + (run.e_first.value() + static_cast<Wide>(run.e_step.value()) * j) * gone / length;
}

}  // namespace

Charges::Charges(ChargeParts parts, std::size_t stations, int lanes)
    : parts_(std::move(parts)), lanes_(lanes), groups_(stations * static_cast<std::size_t>(lanes)),
      money_rest_(stations), stations_(stations) {
  parts_.price.resize(stations);
}

void Charges::arrived(CallId id) {
  if (accounts_.size() <= id.index) accounts_.resize(id.index + std::size_t{1});
  accounts_[id.index] = {};
}

/// What the group has spent, to its members.
void Charges::divide(Group& g) {
  if (g.size == 0 || g.pending == Spend{}) return;
  const Spend part = g.pending.part(1, g.size);
  g.each += part;
  g.pending -= {part.energy * g.size, part.money * g.size, part.carbon * g.size};
}

void Charges::joins(CallId id, StationId s, int lane) {
  Group& g = groups_[group(s, lane)];
  divide(g);
  ++g.size;
  accounts_[id.index].base = g.each;
  accounts_[id.index].group = static_cast<std::int32_t>(group(s, lane));
}

void Charges::leaves(CallId id, StationId s, int lane) {
  Group& g = groups_[group(s, lane)];
  divide(g);
  --g.size;
  Account& a = accounts_[id.index];
  a.spent += g.each - a.base;
  a.group = -1;
}

Wide Charges::carbon_of(Time start, std::int64_t k, const StepRun& run) const {
  const StepSignal& carbon = *parts_.carbon;
  const Time end = start + run.total(k);
  Wide sum = 0, before = 0;
  for (Time t = start;;) {
    const Time next = std::min(carbon.next(t), end);
    const Wide until = next == end ? energy_of(k, run) : spent_until(next, start, k, run);
    sum += (until - before) * carbon.at(t);
    if (next == end) return sum;
    before = until;
    t = next;
  }
}

void Charges::on_step(StationId s, int lane, Time start, std::int64_t k, const StepRun& run, bool decodes,
                      std::span<const BatchPlan::Chunk> chunks, std::int64_t outputs) {
  Spend spent;
  spent.energy = energy_of(k, run);
  if (const StepSignal* price = parts_.price[static_cast<std::size_t>(s.index)])
    spent.money = price->integral(start, start + run.total(k));
  if (parts_.carbon) spent.carbon = carbon_of(start, k, run);
  stations_[static_cast<std::size_t>(s.index)].output_tokens += outputs;
  share(s, lane, spent, decodes, chunks);
}

/// A stage is one part of the instance.
Spend Charges::of_stages(StationId s, std::span<const StageTime> stages) {
  Spend spent;
  const StepSignal* price = parts_.price[static_cast<std::size_t>(s.index)];
  Wide& money = money_rest_[static_cast<std::size_t>(s.index)];
  for (const StageTime& stage : stages) {
    StepRun run;
    run.first = stage.end - stage.begin;
    run.e_first = Energy{stage.energy};
    spent.energy += stage.energy;
    if (price) money += price->integral(stage.begin, stage.end);
    // One that takes no time has been spent before what changes at its instant, unless its step has just begun.
    const bool instant = stage.end == stage.begin && stage.begin > stages.front().begin;
    if (parts_.carbon) spent.carbon += carbon_of(instant ? stage.begin - Duration{1} : stage.begin, 1, run);
  }
  const auto count = static_cast<Wide>(stages.size());
  spent.money = money / count;
  money %= count;
  return spent;
}

void Charges::on_step(StationId s, int lane, std::span<const StageTime> stages, bool decodes,
                      std::span<const BatchPlan::Chunk> chunks, std::int64_t outputs) {
  stations_[static_cast<std::size_t>(s.index)].output_tokens += outputs;
  share(s, lane, of_stages(s, stages), decodes, chunks);
}

void Charges::on_step_for(CallId id, StationId s, Tokens tokens, std::span<const StageTime> stages) {
  const Spend spent = of_stages(s, stages);
  StationCharge& station = stations_[static_cast<std::size_t>(s.index)];
  station.spent += spent;
  station.prompt_tokens += tokens.value();
  accounts_[id.index].spent += spent;
}

void Charges::share(StationId s, int lane, const Spend& spent, bool decodes, std::span<const BatchPlan::Chunk> chunks) {
  Group& g = groups_[group(s, lane)];
  StationCharge& station = stations_[static_cast<std::size_t>(s.index)];
  const std::int64_t members = decodes ? g.size : 0;
  std::int64_t prompt = 0;
  for (const auto& c : chunks) prompt += c.q.value();
  station.prompt_tokens += prompt;
  station.spent += spent;
  if (members + prompt == 0) {
    unused_ += spent;
    return;
  }
  Spend rest = spent;
  for (const auto& c : chunks) {
    const Spend part = spent.part(c.q.value(), members + prompt);
    accounts_[c.call.index].spent += part;
    rest -= part;
  }
  if (members > 0) g.pending += rest;
  else accounts_[chunks.back().call.index].spent += rest;
}

void Charges::complete(CallId id, Row& row) {
  Account& a = accounts_[id.index];
  row.spent = a.spent;
  if (a.group >= 0) {   // in flight at the end: it goes on decoding
    Group& g = groups_[static_cast<std::size_t>(a.group)];
    divide(g);
    row.spent += g.each - a.base;
  }
  rows_ += row.spent;
  if (by_class_.size() <= row.request_class) by_class_.resize(row.request_class + std::size_t{1});
  by_class_[row.request_class] += row.spent;
}

ChargeResult Charges::finish() const {
  ChargeResult r{.requests = rows_, .by_class = by_class_, .by_station = stations_, .left = unused_,
                 .lost = lost_, .money = false, .carbon = parts_.carbon != nullptr};
  for (const Group& g : groups_) r.left += g.pending;
  r.money = std::any_of(parts_.price.begin(), parts_.price.end(), [](const StepSignal* p) { return p != nullptr; });
  return r;
}

}  // namespace orrery
