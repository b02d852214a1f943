#include "tests/policies/station_builder.hpp"

#include <algorithm>

namespace orrery {
namespace {
Tokens32 tokens32(std::int64_t n) { return Tokens32{static_cast<std::int32_t>(n)}; }
}  // namespace

Picture& Picture::kv(std::int64_t blocks, std::int64_t block_tokens, std::int64_t watermark) {
  blocks_ = blocks, block_tokens_ = block_tokens, watermark_ = watermark;
  return *this;
}

int Picture::add(std::int64_t prompt, Stage stage, const CallSetup& setup) {
  const auto number = rows_.size();
  CallRow row;
  row.call.number = number;
  row.call.arrival = Time{} + std::chrono::milliseconds(number);
  row.call.prompt = tokens32(prompt);
  row.call.max_tokens = tokens32(setup.max_tokens);
  row.call.predicted_low = row.call.predicted_high = tokens32(setup.predicted);
  row.progress.emitted = tokens32(setup.emitted);
  keys_.push_back(order_ ? order_->key(CallId{}, row.call, row.progress, nullptr) : to_ps(row.call.arrival));
  row.progress.stage = stage;
  row.progress.preemptions = static_cast<std::uint8_t>(setup.preemptions);
  rows_.push_back(row);
  cache_.hits.push_back(setup.cached);
  return static_cast<int>(number);
}

Picture& Picture::waiting(std::int64_t prompt, CallSetup setup) {
  waiting_.push_back(id(add(prompt, Stage::kWaiting, setup)));
  return *this;
}

Picture& Picture::prefilling(std::int64_t prompt, std::int64_t computed, CallSetup setup) {
  const int call = add(prompt, Stage::kPrefill, setup);
  Progress& p = rows_[static_cast<std::size_t>(call)].progress;
  p.computed = tokens32(computed);
  p.reserved = tokens32(setup.reserved > 0 ? setup.reserved : prompt);
  prefilling_.push_back(id(call));
  return *this;
}

Picture& Picture::decoding(int calls, std::int64_t context, CallSetup setup) {
  setup.emitted = std::max<std::int64_t>(setup.emitted, 1);
  for (int i = 0; i < calls; ++i) {
    const int call = add(context + 1 - setup.emitted, Stage::kDecode, setup);
    Progress& p = rows_[static_cast<std::size_t>(call)].progress;
    p.computed = tokens32(context);
    p.reserved = tokens32(setup.reserved);
    members_.push_back(id(call));
  }
  return *this;
}

Picture& Picture::full(std::int64_t context, CallSetup setup) {
  setup.reserved = context;
  decoding(1, context, setup);
  full_.push_back(members_.back());
  return *this;
}

Picture& Picture::swapped(std::int64_t context, CallSetup setup) {
  setup.emitted = std::max<std::int64_t>(setup.emitted, 1);
  const int call = add(context + 1 - setup.emitted, Stage::kSwapped, setup);
  Progress& p = rows_[static_cast<std::size_t>(call)].progress;
  p.computed = tokens32(context);
  p.reserved = tokens32(setup.reserved);
  swapped_.push_back(id(call));
  return *this;
}

Picture& Picture::held(std::int64_t prompt, CallSetup setup) {
  const int call = add(prompt, Stage::kHeld, setup);
  rows_[static_cast<std::size_t>(call)].progress.computed =
      tokens32(prompt + std::max<std::int64_t>(setup.emitted, 1) - 1);
  held_.push_back(id(call));
  return *this;
}

Tokens Picture::room(CallId call) const {
  const Progress& p = rows_[call.index].progress;
  return Tokens{std::max(p.computed, p.reserved)};
}

StationView Picture::view() const {
  StationView v;
  v.station = StationId{0};
  v.rows = rows_;
  v.keys = keys_;
  v.waiting = waiting_;
  v.prefilling = prefilling_;
  v.swapped = swapped_;
  v.full = full_;
  v.held = held_;
  v.running = static_cast<std::int32_t>(prefilling_.size() + members_.size() + held_.size());
  v.steps_since_admission = since_;
  v.kv.block_tokens = Tokens{block_tokens_};
  v.kv.total = v.kv.free = Blocks{blocks_};
  v.kv.watermark = Blocks{watermark_};
  v.kv.host_free = Tokens{host_};
  v.kv_policy = &paged_;
  v.order = order_;
  if (std::ranges::any_of(cache_.hits, [](std::int64_t hit) { return hit > 0; })) v.prefix = &cache_;
  v.group.id = GroupId{0};
  v.group.size = static_cast<std::int32_t>(members_.size());
  v.group.members = members_;
  for (const auto* list : {&members_, &prefilling_, &held_})
    for (CallId call : *list) {
      const CallRow& row = rows_[call.index];
      v.kv.free -= v.kv.blocks_for(room(call));
      v.kv.promised += v.kv.blocks_for(paged_.promise(row.call, room(call)));
    }
  for (CallId call : members_) {
    const CallRow& row = rows_[call.index];
    const Tokens context{row.progress.computed};
    v.group.context += context;
    v.group.remaining_max += Tokens{row.call.max_tokens - row.progress.emitted};
    v.group.longest = std::max(v.group.longest, context);
    v.group.needed += Blocks{context >= room(call) && v.kv.block_tokens.divides(context)};
  }
  return v;
}

Planned planned_by(const Batcher& batcher, const StationView& view) {
  BatchPlan plan;
  plan.reset(view, batcher);
  batcher.plan(view, plan);
  Planned p;
  p.decoding = plan.decoding().value();
  for (const auto& c : plan.chunks()) p.chunks.emplace_back(c.call.index, c.q.value());
  for (const auto& a : plan.admitted()) p.admitted.push_back(static_cast<int>(a.call.index));
  for (CallId id : plan.resumed()) p.resumed.push_back(static_cast<int>(id.index));
  for (const auto& d : plan.leave()) p.left.emplace_back(d.call.index, d.how);
  p.repeat = plan.changes() ? 1 : plan.repeat.iterations;
  p.padding = plan.padding();
  p.available = plan.available().value();
  return p;
}

Planned planned_by(const Batcher& batcher, const Picture& picture) { return planned_by(batcher, picture.view()); }

}  // namespace orrery
