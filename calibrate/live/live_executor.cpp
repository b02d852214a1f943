#include "calibrate/live/live_executor.hpp"

#include <string>

#include "calibrate/live/token_stream.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

Duration duration(double seconds) { return Duration{static_cast<std::int64_t>(seconds * 1e12 + 0.5)}; }

}  // namespace

LiveExecutor::LiveExecutor(const LiveDevice& device, const KvConfig& kv)
    : vocab_(device.vocabulary()), tables_(kv),
      replica_(device.replica({.blocks = static_cast<std::int32_t>(kv.total.value()),
                               .block_tokens = static_cast<std::int32_t>(kv.block_tokens.value())})) {}

StepRun LiveExecutor::begin(const BatchPlan& plan, const StepShape&, std::span<const KvOp> journal,
                            const StationView& station) {
  const double start = replica_->seconds();
  tables_.apply(journal);
  if (!tables_.copies().empty()) replica_->copy(tables_.copies(), tables_.host_blocks());
  gather(plan, station);
  check(station);
  fill_work();
  const double launched = replica_->seconds();
  const auto next = work_.empty() ? std::span<const std::int32_t>{} : replica_->run(work_);
  const double end = replica_->seconds();
  for (const Item& item : items_) tables_.computed(item.call, item.q);
  keep(next, station);
  ++steps_;
  StepRun run;
  run.first = duration(end - start);
  run.host = duration(launched - start);
  run.grade = Grade::kMeasured;
  return run;
}

/// What the step computes: the plan's chunks, then every member of the decode group.
void LiveExecutor::gather(const BatchPlan& plan, const StationView& station) {
  if (!(plan.padding() == BatchPlan::Padding{}))
    throw EngineError("this batching policy pads its batches; live executors do not run padding");
  items_.clear();
  for (const auto& chunk : plan.chunks()) {
    const std::int64_t q = chunk.q.value();
    items_.push_back({chunk.call, station.context(chunk.call).value(), q, station.remaining(chunk.call).value() == q});
  }
  if (!plan.decodes()) return;
  for (const CallId call : station.group.members) {
    const std::int64_t context = station.context(call).value();
    tables_.reserve(call, context + 1);
    items_.push_back({call, context, 1, true});
  }
}

void LiveExecutor::check(const StationView& station) {
  if (tables_.free() != station.kv.free.value()) {
    throw EngineError("station " + std::to_string(station.station.index) + ", step " + std::to_string(steps_) + ": " +
                      std::to_string(tables_.free()) + " blocks are free in the engine, " +
                      std::to_string(station.kv.free.value()) + " in the ledger");
  }
  for (const Item& item : items_) {
    if (tables_.stored(item.call) == item.context) continue;
    throw EngineError("station " + std::to_string(station.station.index) + ", step " + std::to_string(steps_) +
                      ": request " + std::to_string(station.call(item.call).number) + " has the KV of " +
                      std::to_string(tables_.stored(item.call)) + " tokens in the engine, of " +
                      std::to_string(item.context) + " in the ledger");
  }
}

void LiveExecutor::fill_work() {
  tokens_.clear();
  work_.clear();
  for (const Item& item : items_) append_tokens(paths_->path(item.call), item.context, item.q, vocab_, tokens_);
  std::size_t at = 0;
  for (const Item& item : items_) {
    const auto q = static_cast<std::size_t>(item.q);
    work_.push_back({.context = static_cast<std::int32_t>(item.context),
                     .tokens = std::span<const std::int32_t>(tokens_).subspan(at, q),
                     .blocks = tables_.blocks(item.call),
                     .logits = item.output});
    at += q;
  }
}

void LiveExecutor::keep(std::span<const std::int32_t> next, const StationView& station) {
  std::size_t row = 0;
  for (const Item& item : items_) {
    if (!item.output) continue;
    const std::uint64_t at =
        hash_combine(station.call(item.call).number, static_cast<std::uint64_t>(item.context + item.q));
    outputs_ += hash_combine(at, static_cast<std::uint64_t>(next[row++]));
  }
}

}  // namespace orrery
