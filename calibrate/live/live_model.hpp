/// A model of the catalogue (hwmodels/models/NAME.json) as a decoder that can run: dense or mixture of experts with
/// gated feed-forward layers.
///
///   LiveModel m = live_model("llama-tiny", {});      // throws ConfigError, nearest names on a miss
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/model.hpp"
#include "kernels/engine/weights.hpp"
#include "sim/config/value.hpp"

namespace orrery {

struct LiveModel {
  std::string name, source, origin;
  DecoderShape shape;
  std::int64_t parameters() const;                 ///< matrices only
  std::int64_t kv_elements_per_token() const { return 2ll * shape.layers * shape.kv_heads * shape.head_dim; }
};

LiveModel live_model(std::string_view name, const std::vector<std::string>& folders);
LiveModel live_model_from_json(const Value& v);
/// The same of a model that the cost models know already; dense ones. Throws ConfigError for what no device runs.
LiveModel live_model_of(const ModelShape& model);

}  // namespace orrery
