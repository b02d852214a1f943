#include "calibrate/live/replay.hpp"

namespace orrery {

std::uint64_t hash_of(const StepShape& s) {
  std::uint64_t hash = 0;
  for (const std::int64_t x : {s.decodes.value(), s.decode_context.value(), s.max_context.value(), s.prefill.value(),
                               s.prefill_pairs, std::int64_t{s.sequences}, std::int64_t{s.outputs}, s.host_in.value(),
                               s.host_out.value()}) {
    hash = hash_combine(hash, static_cast<std::uint64_t>(x));
  }
  for (const ChunkShape& c : s.chunks) {
    hash = hash_combine(hash, static_cast<std::uint64_t>(c.context.value()));
    hash = hash_combine(hash, static_cast<std::uint64_t>(c.q.value()));
  }
  return hash;
}

StepRun ReplayExecutor::begin(const BatchPlan&, const StepShape& shape, std::span<const KvOp>,
                              const StationView& station) {
  const std::string where =
      "replay: station " + std::to_string(station.station.index) + ", step " + std::to_string(next_);
  if (next_ == log_->size()) throw EngineError(where + ": the measured run had no such step");
  const MeasuredStep& step = (*log_)[next_++];
  if (step.work != hash_of(shape)) throw EngineError(where + ": other work than in the measured run");
  return step.run;
}

}  // namespace orrery
