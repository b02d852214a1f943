/// Prefill launches on device memory beside the CPU backend's in double (see attention_cases.hpp).
#pragma once

#include <vector>

#include "kernels/attention_prefill/attention_prefill_gpu.hpp"
#include "tests/gpu_kernels/attention_cases.hpp"

namespace orrery::ORRERY_GPU {

/// `q` new tokens of a text after `context` cached ones.
struct Chunk {
  int text, context, q;
};

struct PrefillShapeCase {
  AttentionShape shape;
  std::vector<Chunk> chunks;
  int page_tokens = 16;
  int tile_tokens = 0;                       ///< 0: what fills a thread block
};

struct PrefillCase {
  explicit PrefillCase(const PrefillShapeCase& c)
      : shape(c.shape), host_kv(held(c.chunks), c.page_tokens, c.shape),
        reference_kv(held(c.chunks), c.page_tokens, c.shape) {
    std::vector<std::pair<int, std::int64_t>> rows;
    for (const Chunk& chunk : c.chunks) {
      for (int i = 0; i < chunk.q; ++i) rows.emplace_back(chunk.text, chunk.context + i);
      offset.push_back(static_cast<std::int32_t>(rows.size()));
      context.push_back(chunk.context);
      queries.push_back(chunk.q);
    }
    plan = plan_prefill({.queries = queries, .contexts = context, .kv_heads = shape.kv_heads, .block = 64,
                         .rows = c.tile_tokens ? c.tile_tokens : prefill_tile_tokens(shape.group())});
    reference_q = queries_of<double>(shape, rows);
    device_q = DeviceBuffer<Bf16>(queries_of<Bf16>(shape, rows), "q");
    device_offset = DeviceBuffer<std::int32_t>(offset, "row offsets");
    device_context = DeviceBuffer<std::int32_t>(context, "contexts");
    tiles = DeviceBuffer<LaunchTile>(plan.tiles, "tiles");
    out = DeviceBuffer<Bf16>(reference_q.size(), "out");
    out.poison();
    device_kv.emplace_back(host_kv, host_kv.view().max_pages);
  }
  static std::vector<Held> held(const std::vector<Chunk>& chunks) {
    std::vector<Held> h;
    for (const Chunk& c : chunks) h.push_back({c.text, c.context + c.q});
    return h;
  }
  PrefillArgs<Bf16> args() const {
    return {.q = device_q.data(), .out = out.data(), .q_offset = device_offset.data(),
            .context = device_context.data(), .kv = device_kv[0].view,
            .sequences = static_cast<std::int32_t>(context.size()), .heads = shape.heads, .q_stride = 0,
            .scale = static_cast<float>(shape.scale()), .tiles = tiles.data(),
            .tile_count = static_cast<std::int64_t>(plan.tiles.size())};
  }
  std::vector<double> reference() {
    std::vector<double> expected(reference_q.size());
    orrery::attention_prefill(PrefillArgs<double>{
        .q = reference_q.data(), .out = expected.data(), .q_offset = offset.data(), .context = context.data(),
        .kv = reference_kv.view(), .sequences = static_cast<std::int32_t>(context.size()), .heads = shape.heads,
        .q_stride = 0, .scale = shape.scale(), .tiles = plan.tiles.data(),
        .tile_count = static_cast<std::int64_t>(plan.tiles.size())});
    return expected;
  }

  AttentionShape shape;
  TestKv<Bf16> host_kv;
  TestKv<double> reference_kv;
  std::vector<std::int32_t> offset{0}, context, queries;
  std::vector<double> reference_q;
  LaunchPlan plan;
  DeviceBuffer<Bf16> device_q, out;
  DeviceBuffer<std::int32_t> device_offset, device_context;
  DeviceBuffer<LaunchTile> tiles;
  std::vector<DeviceKv> device_kv;
};

}  // namespace orrery::ORRERY_GPU
