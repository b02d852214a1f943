/// Measured steps, kept and replayed: what a live executor took, step by step, stands for the price in a simulation.
/// The decisions must come out the same; if a step holds other work than the one that was measured, EngineError says
/// which.
///
///   StepLog log;                                     // one a station
///   RecordingExecutor recorded(live, log);           // measure
///   ReplayExecutor replayed(log);                    // simulate with these times
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/ledger.hpp"

namespace orrery {

struct MeasuredStep {
  StepRun run;
  StepShape shape;              ///< its sums; chunks are left out
  std::uint64_t work;           ///< hash of the shape, chunks included
};
using StepLog = std::vector<MeasuredStep>;

/// Hash of everything in a shape, chunks included.
std::uint64_t hash_of(const StepShape& shape);

class RecordingExecutor final : public Executor {
 public:
  RecordingExecutor(Executor& inner, StepLog& log) : inner_(&inner), log_(&log) {}
  StepRun begin(const BatchPlan& plan, const StepShape& shape, std::span<const KvOp> journal,
                const StationView& station) override {
    log_->push_back({inner_->begin(plan, shape, journal, station), shape, hash_of(shape)});
    log_->back().shape.chunks = {};
    return log_->back().run;
  }
  bool wants_journal() const override { return inner_->wants_journal(); }
  void bind(const PromptPaths& paths) override { inner_->bind(paths); }

 private:
  Executor* inner_;
  StepLog* log_;
};

class ReplayExecutor final : public Executor {
 public:
  explicit ReplayExecutor(const StepLog& log) : log_(&log) {}
  StepRun begin(const BatchPlan&, const StepShape& shape, std::span<const KvOp>, const StationView& station) override;

 private:
  const StepLog* log_;
  std::size_t next_ = 0;
};

}  // namespace orrery
