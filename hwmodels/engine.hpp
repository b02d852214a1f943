/// What an engine adds to the kernels' time, and the settings it starts with. Files: hwmodels/engines/NAME.json.
///
///   EnginePreset e = load_engine("vllm-0.24", {});
///   e.host.step_s + e.host.per_sequence_s * 64;     // seconds of host time in a step of 64 sequences
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

/// Host time that the device waits for, and the floor that eager launching sets.
struct HostTerms {
  double step_s = 0;              ///< scheduling and launch, once a step
  double per_sequence_s = 0;      ///< for each sequence in the step: input preparation, sampling, detokenising
  double launch_per_layer_s = 0;  ///< eager engines: a step takes no less than this for each layer; 0 with CUDA graphs
  double elementwise_s = 1.5e-6;  ///< device floor of one small fused kernel
  int elementwise_kernels = 5;    ///< a layer: two norms with residual, rope, KV append, activation
  double elementwise_bytes_per_s = 0;   ///< of those kernels; 0: the bandwidth of the device's GEMM fit
  std::string source;             ///< where the terms come from, or "host overhead: assumed"
};

struct EnginePreset {
  std::string name, origin;
  HostTerms host;
  double activation_bytes_per_token = 0;   ///< peak beyond what the shape implies; see kv_capacity.hpp
  double reserved_bytes = 0;               ///< CUDA context, graphs, communication buffers, per device
  std::vector<std::string> not_modelled;
  Value settings;                          ///< defaults of policies and limits, as in the config's `engine` object
};

EnginePreset load_engine(std::string_view name, const std::vector<std::string>& folders);
EnginePreset engine_from_json(const Value& v);
HostTerms host_terms_from_json(const Value& host);

}  // namespace orrery
