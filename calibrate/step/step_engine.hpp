/// What calibration of whole steps needs of an engine: run this batch, say how long it took. Live devices stand behind
/// it in calibrate/live/live_step_engine.hpp; in tests, laws that are known.
///
///   StepBatch b{.chunks = {{0_tok, 64_tok}}, .decodes = {200_tok, 17_tok}};       // one prompt, two decodes
///   double seconds = engine.run(b);
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/cost.hpp"

namespace orrery {

/// A batch by its contents: what a plan comes to when groups are expanded.
struct StepBatch {
  std::vector<ChunkShape> chunks;    ///< prompt chunks, each behind its context
  std::vector<Tokens> decodes;       ///< KV tokens that each decode reads, the new one included

  /// As a cost model sees it; its chunks are this batch's. Every sequence has an output row.
  StepShape shape() const;
  std::int64_t tokens() const;
};

class StepEngine {
 public:
  virtual ~StepEngine() = default;
  /// Runs the batch once. Seconds of the engine's clock, which counts the engine's work and no neighbour's.
  virtual double run(const StepBatch& batch) = 0;
  virtual std::string_view name() const = 0;
  virtual std::int64_t row_tile() const { return 1; }        ///< rows that its GEMM takes at once
};

}  // namespace orrery
