#include "hwmodels/model.hpp"

#include "hwmodels/catalogue.hpp"

namespace orrery {

std::int64_t ModelShape::layer_parameters() const {
  const std::int64_t attention = hidden * head_dim * (2 * heads + 2 * kv_heads);
  return attention + (gated ? 3 : 2) * hidden * ffn;
}

std::int64_t ModelShape::parameters() const {
  return layers * layer_parameters() + (tied_embeddings ? 1 : 2) * vocabulary * hidden;
}

ModelShape model_from_json(const Value& v) {
  const auto count = [&](std::string_view key) {
    const std::int64_t n = v.at(key).as_int();
    if (n < 1) throw ConfigError(v.at(key).where() + ": expected a positive integer");
    return n;
  };
  ModelShape m;
  m.name = v.at("name").as_string();
  for (const auto& [key, what] : {std::pair{"moe", "mixture of experts"}, std::pair{"mla", "latent attention"}}) {
    const Value* found = v.find(key);
    if (found != nullptr && !found->is_null()) {
      throw ConfigError("model \"" + m.name + "\": " + what + ": not available in this version");
    }
  }
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
