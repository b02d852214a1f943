/// What a step costs: the shape of the work a station does at once, and its price in time and energy.
///
/// A cost model is pure: equal shapes have equal prices, whatever came before. All results are integers, so that the
/// closed form of a decode run equals the sum of its steps:
///
///   StepRun r = model.price({&shape, 1}, stage);
///   r.total(k) == r.at(0) + r.at(1) + ... + r.at(k - 1)       for k <= r.valid
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sim/base/units.hpp"

namespace orrery {

/// One prompt chunk of a step: `q` new tokens that attend to `context` earlier ones and to themselves.
struct ChunkShape {
  Tokens context, q;
};

/// All that a step of one station costs is a function of this. Sums, over the calls of the step.
struct StepShape {
  Tokens decodes;                ///< calls that decode one token each
  Tokens decode_context;         ///< sum over them of the KV tokens read, the new one included
  Tokens decode_context_unique;  ///< the same with shared prefixes counted once (kernels that read them once)
  Tokens max_context;            ///< longest single decode context; 0 if not tracked
  Tokens prefill;                ///< prompt tokens computed (sum of q over the chunks)
  std::int64_t prefill_pairs = 0;///< sum over chunks of q * (context + q / 2), rounded down
  std::int32_t sequences = 0;    ///< decoding calls plus chunks
  std::int32_t outputs = 0;  ///< rows that go through the language-model head: decodes plus chunks that end a prompt
  Tokens draft, filler_forward, filler_backward;  ///< speculation, co-served fine-tuning; no KV growth
  Bytes host_in, host_out;       ///< KV over the private PCIe link during the step (swap)
  std::span<const ChunkShape> chunks;             ///< valid during the call only
};

/// How far a number may be trusted, best first.
enum class Grade : std::uint8_t { kMeasured, kTuned, kFitted, kDatasheet };

constexpr std::string_view name(Grade g) {
  constexpr std::string_view names[] = {"measured", "tuned", "fitted", "datasheet"};
  return names[static_cast<int>(g)];
}

/// Price of `valid` consecutive iterations of a decode batch whose members all stay: iteration j (from 0) takes
/// first + j * step. A step with chunks has valid = 1.
struct StepRun {
  Duration first{}, step{};
  Energy e_first, e_step;        ///< nanojoules of all devices of the station
  std::int64_t valid = 1;        ///< iterations for which the line is exact; at least 1
  Duration host{};               ///< the part of `first` that is host time (launch, scheduling), for the report
  Grade grade = Grade::kDatasheet;
  bool in_range = true;          ///< every operator inside its fitted range
  std::int64_t flops = 0, flops_step = 0;   ///< model FLOPs of iteration 0 and their growth (MFU)
  std::int64_t bytes = 0, bytes_step = 0;   ///< HBM bytes of iteration 0 and their growth (MBU)

  constexpr Duration at(std::int64_t j) const { return first + j * step; }
  constexpr Duration total(std::int64_t k) const { return k * first + (k * (k - 1) / 2) * step; }
};

/// Prices steps. Immutable while a run lasts, or its own cache; called from one thread. Cheap: called at every
/// iteration that is not skipped (target 20 ns for a decode step).
class CostModel {
 public:
  virtual ~CostModel() = default;
  /// `members`: one shape for each station that takes part (more than one: sequence parallelism); `stage`: pipeline
  /// stage.
  virtual StepRun price(std::span<const StepShape> members, int stage) const = 0;
  /// Time for activations of `tokens` to reach the next pipeline stage.
  virtual Duration hop(Tokens /*tokens*/) const { return Duration{}; }
  /// The part of an iteration of this shape that devices of a stage spend on telling each other results (all-reduces of
  /// tensor parallelism), for the report.
  virtual Duration collectives(const StepShape& /*shape*/, int /*stage*/) const { return Duration{}; }
  virtual int stages() const { return 1; }
};

}  // namespace orrery
