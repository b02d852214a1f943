#include "hwmodels/kv_capacity.hpp"

#include <algorithm>

namespace orrery {
namespace {

std::int64_t bytes_of(std::int64_t values, double each) {
  return static_cast<std::int64_t>(static_cast<double>(values) * each + 0.5);
}

KvCapacity stage_capacity(const ModelShape& m, const Hardware& h, Parallel p, const MemoryOptions& o, int stage) {
  const std::int64_t tp = p.tp, layers = layers_of_stage(m, p, stage);
  const std::int64_t kv_heads = std::max<std::int64_t>(1, m.kv_heads / tp);
  const bool first = stage == 0, last = stage == p.pp - 1;
  const std::int64_t embeddings =
      (first && last && m.tied_embeddings ? 1 : (first ? 1 : 0) + (last ? 1 : 0)) * m.vocabulary * m.hidden;
  // Where KV heads are fewer than devices, each device keeps its own copy of one.
  const std::int64_t kv_copies = 2 * m.hidden * m.head_dim * (kv_heads * tp - m.kv_heads);
  KvCapacity c;
  c.memory_bytes = static_cast<std::int64_t>(h.specs.memory_bytes);
  c.usable_bytes = static_cast<std::int64_t>(h.specs.memory_bytes * o.utilization);
  const auto full = h.specs.value_bytes;
  c.weight_bytes = bytes_of(ceil_div(layers * (m.layer_parameters() + kv_copies) + embeddings, tp), full);
  const std::int64_t qkv = (m.heads / tp + 2 * kv_heads) * m.head_dim,
                     ffn = (m.gated ? 3 : 2) * m.ffn * std::max<std::int64_t>(1, m.top_k) / tp;
  c.activation_bytes = bytes_of(o.max_batch_tokens * (2 * m.hidden + std::max(qkv, ffn)), full) +
                       (last ? bytes_of(o.max_sequences * m.vocabulary, full + 4) : 0);
  const std::int64_t values = 2 * layers * kv_heads * m.head_dim;   // of a token
  const std::int64_t window = o.format.name == KvFormat::Name::kKivi ? o.max_sequences * o.format.residual : 0;
  c.reserved_bytes = static_cast<std::int64_t>(o.reserved_bytes) +
                     bytes_of(window * values, full - o.format.bytes_per_value(full));
  c.kv_bytes = c.usable_bytes - c.weight_bytes - c.activation_bytes - c.reserved_bytes;
  c.kv_bytes_per_token = bytes_of(values, o.format.bytes_per_value(full));
  c.block_tokens = o.block_tokens;
  c.blocks = c.kv_bytes > 0 ? c.kv_bytes / (c.block_tokens * c.kv_bytes_per_token) : 0;
  return c;
}

}  // namespace

std::int64_t kv_bytes_per_token(const ModelShape& m, const KvFormat& format, double value_bytes) {
  return bytes_of(2 * m.layers * m.kv_heads * m.head_dim, format.bytes_per_value(value_bytes));
}

std::string gigabytes(std::int64_t bytes) {
  const std::int64_t tenths = (bytes + 50'000'000) / 100'000'000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GB";
}

KvCapacity kv_capacity(const ModelShape& m, const Hardware& h, Parallel p, const MemoryOptions& o) {
  check_split(m, p);
  KvCapacity least = stage_capacity(m, h, p, o, 0);
  for (int s = 1; s < p.pp; ++s) {
    const KvCapacity c = stage_capacity(m, h, p, o, s);
    if (c.blocks < least.blocks || (c.blocks == least.blocks && c.kv_bytes < least.kv_bytes)) least = c;
  }
  if (least.blocks > 0) return least;
  const std::int64_t block = least.block_tokens * least.kv_bytes_per_token;
  const std::int64_t needed = least.weight_bytes + least.activation_bytes + least.reserved_bytes + block;
  throw ConfigError("model \"" + m.name + "\" does not fit on " + h.name + " with tp " + std::to_string(p.tp) +
                    ", pp " + std::to_string(p.pp) + ": a device needs " + std::to_string(needed) + " bytes (weights " +
                    gigabytes(least.weight_bytes) + ", activations " + gigabytes(least.activation_bytes) +
                    ", reserved " + gigabytes(least.reserved_bytes) + ", one KV block), available " +
                    std::to_string(least.usable_bytes) + " bytes (" + gigabytes(least.usable_bytes) + ")");
}

}  // namespace orrery
