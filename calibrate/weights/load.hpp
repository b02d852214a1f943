/// Weights of a Llama or Mixtral decoder out of a safetensors file with the names of the published checkpoints
/// (model.layers.0.self_attn.q_proj.weight, ...; experts as block_sparse_moe.experts.0.w1.weight). One file; F32, F16
/// and BF16, converted to the engine's format.
///
///   Weights<float> w = load_weights<float>(SafetensorsFile("model.safetensors"), shape);
///
/// Throws ConfigError with every tensor that is missing, unknown, or of another shape or type.
#pragma once

#include "calibrate/weights/safetensors.hpp"
#include "kernels/engine/weights.hpp"

namespace orrery {

template <class T>
Weights<T> load_weights(const SafetensorsFile& file, const DecoderShape& shape);

}  // namespace orrery
