/// A live device as the engine of a step calibration (calibrate/step/step_engine.hpp): the same kernels, weights and
/// clock that a live run uses, with batches of our own choice. What is timed is what LiveExecutor times: tokens looked
/// up, work listed, the step run.
///
///   LiveStepEngine engine(*device, {.max_sequences = 24, .max_context = 512});
///   StepCalibrator calibrator(engine, {.max_sequences = 24, .token_budget = 128, .max_context = 512});
///
/// A step of a run mostly follows steps much like it, with the same weights and nearly the same KV, so a batch is not
/// measured on its own: between unlike batches a small one takes up to twice as long, because the weights have left the
/// cache, and it takes some five repeats until they are back. It is run once, then again until 6 ms have passed, and
/// the mean of these counts: about as cold as decodes between two prompts are on average.
///
/// Each repeat has other tokens, as a run's steps do: a mixture's go to other experts, whose weights are as cold as those
/// of a run's next token (with the same tokens, steps of one sequence came out a third shorter than in runs).
///
/// Every sequence has blocks of its own. Contexts are read, never computed: they hold what earlier chunks left there,
/// or zeros, which take the kernels as long as other numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "calibrate/live/device.hpp"
#include "calibrate/step/step_engine.hpp"

namespace orrery {

struct LiveStepEngineOptions {
  std::int64_t max_sequences = 24, max_context = 512;   ///< of a batch; of a sequence, its new tokens included
  std::int64_t block_tokens = 16;
};

class LiveStepEngine final : public StepEngine {
 public:
  LiveStepEngine(const LiveDevice& device, const LiveStepEngineOptions& options);
  double run(const StepBatch& batch) override;
  std::string_view name() const override { return name_; }
  std::int64_t row_tile() const override { return row_tile_; }

 private:
  double once(const StepBatch& batch);   ///< seconds
  void add(std::int64_t context, std::int64_t q);

  std::string name_;
  std::int64_t row_tile_, vocabulary_, pages_, block_tokens_;
  std::uint64_t repeats_ = 0;                   ///< ever
  std::unique_ptr<LiveReplica> replica_;
  std::vector<std::int32_t> blocks_, tokens_;   ///< sequence i has the blocks from i * pages_ on
  std::vector<Work> work_;
};

}  // namespace orrery
