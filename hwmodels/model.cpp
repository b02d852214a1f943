#include "hwmodels/model.hpp"

#include "hwmodels/catalogue.hpp"

namespace orrery {

std::int64_t ModelShape::layer_parameters() const {
  const std::int64_t attention = hidden * head_dim * (2 * heads + 2 * kv_heads);
  if (experts > 0) return attention + hidden * experts + experts * expert_parameters();
  return attention + (gated ? 3 : 2) * hidden * ffn;
}

std::int64_t ModelShape::active_layer_parameters() const {
  return layer_parameters() - (experts - top_k) * expert_parameters();
}

std::int64_t ModelShape::parameters() const {
  return layers * layer_parameters() + (tied_embeddings ? 1 : 2) * vocabulary * hidden;
}

namespace {

void read_experts(const Value& moe, ModelShape& m) {
  const auto at_least = [&](std::string_view key, std::int64_t least) {
    const std::int64_t n = moe.at(key).as_int();
    if (n < least) throw ConfigError(moe.at(key).where() + ": expected at least " + std::to_string(least));
    return n;
  };
  m.experts = at_least("num_experts", 1);
  m.top_k = at_least("top_k", 1);
  m.ffn = at_least("expert_ffn_size", 1);
  if (m.top_k > m.experts) throw ConfigError(moe.at("top_k").where() + ": expected at most num_experts");
  for (const char* key : {"shared_ffn_size", "dense_layers"}) {
    const Value* other = moe.find(key);
    if (other != nullptr && other->as_int() != 0) {
      throw ConfigError("model \"" + m.name +
                        "\": shared experts and dense layers beside experts: not available in this version");
    }
  }
}

}  // namespace

ModelShape model_from_json(const Value& v) {
  const auto count = [&](std::string_view key) {
    const std::int64_t n = v.at(key).as_int();
    if (n < 1) throw ConfigError(v.at(key).where() + ": expected a positive integer");
    return n;
  };
  ModelShape m;
  m.name = v.at("name").as_string();
  if (const Value* mla = v.find("mla"); mla != nullptr && !mla->is_null())
    throw ConfigError("model \"" + m.name + "\": latent attention: not available in this version");
  m.layers = count("num_layers");
  m.hidden = count("hidden_size");
  m.heads = count("num_heads");
  m.kv_heads = count("num_kv_heads");
  m.head_dim = count("head_dim");
  m.ffn = count("ffn_size");
  m.vocabulary = count("vocab_size");
  m.max_position = count("max_position");
  m.gated = v.at("gated_ffn").as_bool();
  m.tied_embeddings = v.at("tied_embeddings").as_bool();
  m.source = v.at("source").as_string();
  if (const Value* moe = v.find("moe"); moe != nullptr && !moe->is_null()) read_experts(*moe, m);
  if (m.heads % m.kv_heads != 0) throw ConfigError(v.at("num_kv_heads").where() + ": must divide num_heads");
  return m;
}

ModelShape load_model(std::string_view name, const std::vector<std::string>& folders) {
  const CatalogueEntry entry = find_entry(Catalogue::kModels, name, folders);
  ModelShape m = model_from_json(entry.value);
  m.origin = entry.origin;
  return m;
}

}  // namespace orrery
