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
/// them to their block tables; the ledger itself keeps only counts. Not in the journal, but implied by the plan: a
/// decoding call that is at the end of its room takes one block more (docs/adr/0002-live-executors.md).
struct KvOp {
  enum Kind : std::uint8_t {
    kAlloc,        ///< room for `tokens` in all
    kAdopt,        ///< tokens [from, tokens) of the call lie in the first blocks of `node`
    kPublish,      ///< the blocks of tokens [from, tokens) of the call are the next ones of `node`, which owns them now
    kEvict,        ///< `node` loses the blocks of tokens [from, tokens), its last ones
    kSwapOut,      ///< the first `tokens` go to host memory during this step; the blocks stay until kFree
    kSwapIn,       ///< back from there, with room for `tokens`
    kDropSwapped,  ///< what lies in host memory is not needed any more
    kFree,         ///< gives up its blocks; those of nodes stay with the nodes
  } kind;
  CallId call;
  Tokens tokens{}, from{};
  std::uint32_t node = 0;   ///< of the prefix cache; a number is used again when all its blocks are gone
  friend bool operator==(const KvOp&, const KvOp&) = default;
};

class PromptPaths;

class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs or prices one iteration of `plan` at a station; with valid > 1 the caller may repeat it that often.
  virtual StepRun begin(const BatchPlan& plan, const StepShape& shape, std::span<const KvOp> journal,
                        const StationView& station) = 0;
  /// A real executor: it gets the journal, views as of after the plan was carried out, and paths (bind).
  virtual bool wants_journal() const { return false; }
  /// Not null: begin() does nothing but ask this model for its price.
  virtual const CostModel* only_prices() const { return nullptr; }
  /// Before the first step: what the prompts of calls in flight are made of.
  virtual void bind(const PromptPaths&) {}
};

class ModelExecutor final : public Executor {
 public:
  explicit ModelExecutor(const CostModel& cost) : cost_(&cost) {}
  StepRun begin(const BatchPlan&, const StepShape& shape, std::span<const KvOp>, const StationView&) override {
    return cost_->price({&shape, 1}, 0);
  }
  const CostModel* only_prices() const override { return cost_; }

 private:
  const CostModel* cost_;
};

}  // namespace orrery
