#include "kernels/gpu_session/abi.hpp"

#include <cmath>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "kernels/attention_prefill/attention_prefill_gpu.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/device/buffer.hpp"
#include "kernels/rmsnorm/rmsnorm_gpu.hpp"
#include "kernels/sampling/sampling_gpu.hpp"
#include "kernels/swiglu/swiglu_gpu.hpp"
#include "sim/base/launch_plan.hpp"

namespace {

using namespace orrery;
using gpu::DeviceBuffer;

std::string last_error;

/// 1 if it went well.
template <class F>
int guarded(const F& f) {
  try {
    f();
    return 1;
  } catch (const std::exception& e) {
    last_error = e.what();
    return 0;
  }
}

/// What prefill and decode need beside their tensors, on the device.
struct Plan {
  int sequences, context, heads, kv_heads, head_dim, page_tokens, pages;
  int queries = 0;                         ///< rows of all sequences
  DeviceBuffer<std::int32_t> table, offset, lengths;
  DeviceBuffer<LaunchTile> tiles;
  DeviceBuffer<float> o, m, l;

  Plan(int n, int tokens, int all_heads, int all_kv_heads, int d, int page)
      : sequences(n), context(tokens), heads(all_heads), kv_heads(all_kv_heads), head_dim(d), page_tokens(page),
        pages((tokens + page - 1) / page) {
    std::vector<std::int32_t> host;
    for (int i = 0; i < n * pages; ++i) host.push_back(i);
    table = DeviceBuffer<std::int32_t>(host, "table");
  }
  PagedKv<Bf16> kv(const void* k, const void* v) const {
    return {static_cast<Bf16*>(const_cast<void*>(k)), static_cast<Bf16*>(const_cast<void*>(v)), table.data(), pages,
            page_tokens, kv_heads, head_dim};
  }
  float scale() const { return static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim))); }
};

std::unique_ptr<Plan> prefill_plan(int sequences, int queries, int context, int heads, int kv_heads, int d, int page) {
  auto plan = std::make_unique<Plan>(sequences, queries + context, heads, kv_heads, d, page);
  const std::vector<std::int32_t> fresh(sequences, queries), cached(sequences, context);
  std::vector<std::int32_t> offsets;
  for (int i = 0; i <= sequences; ++i) offsets.push_back(i * queries);
  plan->offset = DeviceBuffer<std::int32_t>(offsets, "offset");
  plan->lengths = DeviceBuffer<std::int32_t>(cached, "context");
  const LaunchPlan tiles = plan_prefill({.queries = fresh, .contexts = cached, .kv_heads = kv_heads, .block = kKvBlock,
                                         .rows = gpu::prefill_tile_tokens(heads / kv_heads)});
  plan->tiles = DeviceBuffer<LaunchTile>(tiles.tiles, "tiles");
  plan->queries = sequences * queries;
  return plan;
}

std::unique_ptr<Plan> decode_plan(int sequences, int context, int heads, int kv_heads, int d, int page) {
  auto plan = std::make_unique<Plan>(sequences, context, heads, kv_heads, d, page);
  const std::vector<std::int32_t> lengths(sequences, context);
  const LaunchPlan tiles = plan_decode({.contexts = lengths, .kv_heads = kv_heads, .units = gpu::device_processors(),
                                        .block = kKvBlock});
  std::vector<std::int32_t> offsets{0};
  for (std::int32_t splits : tiles.splits) offsets.push_back(offsets.back() + splits);
  const auto parts = static_cast<std::size_t>(offsets.back()) * static_cast<std::size_t>(heads);
  plan->offset = DeviceBuffer<std::int32_t>(offsets, "offset");
  plan->lengths = DeviceBuffer<std::int32_t>(lengths, "lengths");
  plan->tiles = DeviceBuffer<LaunchTile>(tiles.tiles, "tiles");
  plan->o = DeviceBuffer<float>(parts * static_cast<std::size_t>(d), "o");
  plan->m = DeviceBuffer<float>(parts, "m");
  plan->l = DeviceBuffer<float>(parts, "l");
  return plan;
}

PrefillArgs<Bf16> prefill_args(const Plan& p, const void* q, const void* k, const void* v, void* out) {
  PrefillArgs<Bf16> a;
  a.q = static_cast<const Bf16*>(q);
  a.out = static_cast<Bf16*>(out);
  a.q_offset = p.offset.data();
  a.context = p.lengths.data();
  a.kv = p.kv(k, v);
  a.sequences = p.sequences;
  a.heads = p.heads;
  a.scale = p.scale();
  a.tiles = p.tiles.data();
  a.tile_count = static_cast<std::int64_t>(p.tiles.size());
  return a;
}

}  // namespace

extern "C" {

void* orrery_prefill_plan(int sequences, int queries, int context, int heads, int kv_heads, int head_dim,
                          int page_tokens) {
  void* plan = nullptr;
  guarded([&] { plan = prefill_plan(sequences, queries, context, heads, kv_heads, head_dim, page_tokens).release(); });
  return plan;
}

void* orrery_decode_plan(int sequences, int context, int heads, int kv_heads, int head_dim, int page_tokens) {
  void* plan = nullptr;
  guarded([&] { plan = decode_plan(sequences, context, heads, kv_heads, head_dim, page_tokens).release(); });
  return plan;
}

void orrery_plan_free(void* plan) { delete static_cast<Plan*>(plan); }

int orrery_prefill(void* plan, const void* q, const void* k, const void* v, void* out, void* stream) {
  const Plan& p = *static_cast<const Plan*>(plan);
  return guarded([&] { gpu::attention_prefill(prefill_args(p, q, k, v, out), stream); });
}

int orrery_prefill_warpgroups(void* plan, const void* q, const void* k, const void* v, void* out, void* stream) {
  const Plan& p = *static_cast<const Plan*>(plan);
  return guarded([&] {
    const PrefillArgs<Bf16> args = prefill_args(p, q, k, v, out);
    if (!gpu::prefill_warpgroups_can(args)) throw std::runtime_error("prefill by warpgroups: not on this device");
    gpu::attention_prefill_warpgroups(args, p.queries, stream);
  });
}

int orrery_decode(void* plan, const void* q, const void* k, const void* v, void* out, void* stream) {
  const Plan& p = *static_cast<const Plan*>(plan);
  return guarded([&] {
    DecodeRows<Bf16> rows;
    rows.q = static_cast<const Bf16*>(q);
    rows.out = static_cast<Bf16*>(out);
    rows.kv_len = p.lengths.data();
    rows.batch = p.sequences;
    rows.heads = p.heads;
    rows.kv_heads = p.kv_heads;
    rows.head_dim = p.head_dim;
    rows.scale = p.scale();
    rows.tiles = p.tiles.data();
    rows.tile_count = static_cast<std::int64_t>(p.tiles.size());
    rows.partials = {p.o.data(), p.m.data(), p.l.data(), p.offset.data()};
    gpu::attention_decode(DecodeArgs<Bf16>{rows, p.kv(k, v)}, stream);
  });
}

int orrery_rmsnorm(const void* x, void* residual, const void* weight, void* out, long rows, long dim, float eps,
                   void* stream) {
  return guarded([&] {
    gpu::rmsnorm({.x = static_cast<const Bf16*>(x), .residual = static_cast<Bf16*>(residual),
                  .weight = static_cast<const Bf16*>(weight), .out = static_cast<Bf16*>(out), .rows = rows, .dim = dim,
                  .eps = eps}, stream);
  });
}

int orrery_swiglu(const void* gate_up, void* out, long rows, long dim, void* stream) {
  return guarded([&] { gpu::swiglu({static_cast<const Bf16*>(gate_up), static_cast<Bf16*>(out), rows, dim}, stream); });
}

int orrery_sample(const void* logits, int* out, long rows, long vocab, float temperature, int top_k, float top_p,
                  void* stream) {
  return guarded([&] {
    static DeviceBuffer<SampleParams> params;                     // of the last call: a script asks for the same often
    static std::vector<SampleParams> host;
    std::vector<SampleParams> wanted;
    for (long i = 0; i < rows; ++i) {
      wanted.push_back({.temperature = temperature, .top_k = top_k, .top_p = top_p, .seed = 1,
                        .sequence = static_cast<std::uint64_t>(i)});
    }
    const auto same = [](const SampleParams& a, const SampleParams& b) {
      return a.temperature == b.temperature && a.top_k == b.top_k && a.top_p == b.top_p;
    };
    if (host.size() != wanted.size() || !same(host.front(), wanted.front())) {
      host = wanted;
      params = DeviceBuffer<SampleParams>(host, "params");
    }
    gpu::sample({static_cast<const Bf16*>(logits), vocab, rows, params.data(), out}, stream);
  });
}

const char* orrery_error(void) { return last_error.c_str(); }

}  // extern "C"
