/// The CPU engine of kernels/engine behind StepEngine: one thread, fp32, its thread's CPU time. A step is the decoder's
/// pass and the choice of the next tokens; finding KV blocks is not timed.
///
///   auto engine = make_cpu_step_engine(load_model("llama-tiny", {}), {.max_sequences = 24, .max_context = 512});
#pragma once

#include <cstdint>
#include <memory>

#include "calibrate/step/step_engine.hpp"
#include "hwmodels/model.hpp"

namespace orrery {

struct CpuStepEngineOptions {
  std::int64_t max_sequences = 24, max_context = 512;   ///< of a batch; of a sequence, its new tokens included
  std::int64_t block_tokens = 16;
  std::uint64_t seed = 1;                               ///< of the weights
};

/// Throws ConfigError for what the CPU kernels cannot do.
std::unique_ptr<StepEngine> make_cpu_step_engine(const ModelShape& model, const CpuStepEngineOptions& options);

}  // namespace orrery
