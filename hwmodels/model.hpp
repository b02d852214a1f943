/// The shape of a transformer and what follows from it: weights, KV bytes, the GEMMs of a layer. Files:
/// hwmodels/models/NAME.json, shapes as published, each with its source. 16-bit weights and cache.
///
///   ModelShape m = load_model("llama-3.1-8b", {});     // throws ConfigError, nearest names on a miss
///   m.kv_bytes_per_token();                            // 131072
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

struct ModelShape {
  std::string name;
  std::int64_t layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocabulary = 0, max_position = 0;
  std::int64_t experts = 0, top_k = 0;   ///< of a mixture, `ffn` wide each, top_k of them a token; 0: dense
  bool gated = true;            ///< three feed-forward matrices (SwiGLU), else two
  bool tied_embeddings = false;
  std::string source, origin;

  std::int64_t layer_parameters() const;
  std::int64_t expert_parameters() const { return experts > 0 ? (gated ? 3 : 2) * hidden * ffn : 0; }
  std::int64_t active_layer_parameters() const;    ///< those that a token is multiplied with
  std::int64_t parameters() const;                 ///< matrices only: biases and norms (below 0.01 %) left out
  std::int64_t weight_bytes() const { return 2 * parameters(); }
  std::int64_t kv_bytes_per_token() const { return 4 * layers * kv_heads * head_dim; }
};

/// Throws `not available in this version` for latent attention, and for experts that are shared or stand beside dense
/// layers.
ModelShape load_model(std::string_view name, const std::vector<std::string>& folders);
ModelShape model_from_json(const Value& v);

}  // namespace orrery
