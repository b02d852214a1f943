#include "calibrate/live/live_model.hpp"

#include "hwmodels/catalogue.hpp"

namespace orrery {
namespace {

std::int32_t count(const Value& v, std::string_view key) {
  const std::int64_t n = v.at(key).as_int();
  if (n < 1 || n > (std::int64_t{1} << 30)) throw ConfigError(v.at(key).where() + ": expected an integer in [1, 2^30]");
  return static_cast<std::int32_t>(n);
}

void refuse(const LiveModel& m, const char* what) {
  throw ConfigError("model \"" + m.name + "\": " + what + ": not available on a live executor in this version");
}

void read_experts(const Value& moe, LiveModel& m) {
  m.shape.experts = count(moe, "num_experts");
  m.shape.top_k = count(moe, "top_k");
  m.shape.ffn = count(moe, "expert_ffn_size");
  for (const char* key : {"shared_ffn_size", "dense_layers"}) {
    const Value* other = moe.find(key);
    if (other != nullptr && other->as_int() != 0) refuse(m, "shared experts and dense layers beside experts");
  }
}

}  // namespace

std::int64_t LiveModel::parameters() const {
  const DecoderShape& s = shape;
  const std::int64_t hidden = s.hidden, attention = hidden * (s.qkv() + std::int64_t{s.heads} * s.head_dim);
  const std::int64_t feed_forward = 3 * hidden * s.ffn * s.copies() + hidden * s.experts;
  return s.layers * (attention + feed_forward) + 2 * hidden * s.vocab;
}

LiveModel live_model_from_json(const Value& v) {
  LiveModel m;
  m.name = v.at("name").as_string();
  m.source = v.at("source").as_string();
  DecoderShape& s = m.shape;
  s.layers = count(v, "num_layers");
  s.hidden = count(v, "hidden_size");
  s.heads = count(v, "num_heads");
  s.kv_heads = count(v, "num_kv_heads");
  s.head_dim = count(v, "head_dim");
  s.ffn = count(v, "ffn_size");
  s.vocab = count(v, "vocab_size");
  s.max_positions = count(v, "max_position");
  if (!v.at("gated_ffn").as_bool()) refuse(m, "feed-forward layers without a gate");
  if (v.at("tied_embeddings").as_bool()) refuse(m, "tied embeddings");
  if (const Value* mla = v.find("mla"); mla != nullptr && !mla->is_null()) refuse(m, "latent attention");
  if (const Value* moe = v.find("moe"); moe != nullptr && !moe->is_null()) read_experts(*moe, m);
  return m;
}

LiveModel live_model_of(const ModelShape& from) {
  LiveModel m;
  m.name = from.name;
  m.source = from.source;
  m.origin = from.origin;
  if (!from.gated) refuse(m, "feed-forward layers without a gate");
  if (from.tied_embeddings) refuse(m, "tied embeddings");
  const auto small = [](std::int64_t n) { return static_cast<std::int32_t>(n); };
  m.shape = {.layers = small(from.layers), .hidden = small(from.hidden), .heads = small(from.heads),
             .kv_heads = small(from.kv_heads), .head_dim = small(from.head_dim), .ffn = small(from.ffn),
             .vocab = small(from.vocabulary), .experts = small(from.experts), .top_k = small(from.top_k),
             .max_positions = small(from.max_position)};
  return m;
}

LiveModel live_model(std::string_view name, const std::vector<std::string>& folders) {
  const CatalogueEntry entry = find_entry(Catalogue::kModels, name, folders);
  LiveModel m = live_model_from_json(entry.value);
  m.origin = entry.origin;
  return m;
}

}  // namespace orrery
