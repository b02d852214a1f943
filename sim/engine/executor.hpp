/// An executor says how long a step took. The model executor asks a cost model, which makes the loop a simulator; the
/// real executors (calibrate/) run kernels for the same plan and report measured time on the same virtual clock.
#pragma once

#include <cstdint>
#include <span>

#include "sim/base/units.hpp"
#include "sim/cost.hpp"
#include "sim/plan.hpp"

namespace orrery {

/// One change of KV ownership, in the order in which the ledger made them since the last step. Real executors apply
/// them to their block tables; the ledger itself keeps only counts.
struct KvOp {
  enum Kind : std::uint8_t { kAlloc, kAdopt, kSwapOut, kSwapIn, kFree } kind;
  CallId call;
  Tokens tokens;        ///< kAlloc: room for so many in all; kAdopt: found in the prefix cache
};

class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs or prices one iteration of `plan` at a station; with valid > 1 the caller may repeat it that often.
  virtual StepRun begin(const BatchPlan& plan, const StepShape& shape, std::span<const KvOp> journal,
                        const StationView& station) = 0;
  virtual bool wants_journal() const { return false; }
};

class ModelExecutor final : public Executor {
 public:
  explicit ModelExecutor(const CostModel& cost) : cost_(&cost) {}
  StepRun begin(const BatchPlan&, const StepShape& shape, std::span<const KvOp>, const StationView&) override {
    return cost_->price({&shape, 1}, 0);
  }

 private:
  const CostModel* cost_;
};

}  // namespace orrery
