/// Attention on a GPU: times, bytes of KV and FLOP a second, beside a copy on the device and, for the mixed launch, the
/// two kernels one after the other. 32 query and 8 KV heads as in Llama-3.1-8B; pages in random order.
#include <benchmark/benchmark.h>

#include <numeric>

#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "kernels/attention_mixed/attention_mixed_gpu.hpp"
#include "kernels/attention_prefill/attention_prefill_gpu.hpp"
#include "kernels/attention_tree/attention_tree_gpu.hpp"
#include "kernels/device/gpu_timer.hpp"
#include "kernels/kv_quant/kv_quant_gpu.hpp"

namespace orrery::gpu_cuda {
namespace {

constexpr std::int32_t kHeads = 32, kKvHeads = 8, kGroup = kHeads / kKvHeads;

GpuTimer& timer() {
  static GpuTimer t;
  return t;
}

void report(benchmark::State& state, GpuTime time, double flops, double bytes) {
  using benchmark::Counter;
  state.SetIterationTime(time.seconds);
  state.counters["spread"] = time.spread;
  if (flops > 0) state.counters["FLOP"] = Counter(flops, Counter::kIsIterationInvariantRate);
  if (bytes > 0) state.counters["B"] = Counter(bytes, Counter::kIsIterationInvariantRate);
}

/// A block table of pages in random order.
std::vector<std::int32_t> random_pages(std::int64_t pages) {
  std::vector<std::int32_t> table(static_cast<std::size_t>(pages));
  std::iota(table.begin(), table.end(), 0);
  Rng rng(1, Purpose::kWeights, 7);
  for (std::size_t i = table.size(); i-- > 1;) {
    std::swap(table[i], table[static_cast<std::size_t>(rng.uniform() * static_cast<double>(i + 1))]);
  }
  return table;
}

/// One copy of the data of `batch` sequences of `tokens` tokens each.
struct BenchPool {
  BenchPool(std::int32_t batch, std::int32_t tokens, std::int32_t page, std::int32_t head_dim)
      : pages((tokens + page - 1) / page), k(random_on_device(numbers(batch, page, head_dim), 1, "keys")),
        v(random_on_device(numbers(batch, page, head_dim), 2, "values")),
        table(random_pages(std::int64_t{batch} * pages), "table"),
        view{k.data(), v.data(), table.data(), pages, page, kKvHeads, head_dim} {}
  std::size_t numbers(std::int32_t batch, std::int32_t page, std::int32_t head_dim) const {
    return static_cast<std::size_t>(std::int64_t{batch} * pages * page * kKvHeads * head_dim);
  }
  std::int32_t pages;
  DeviceBuffer<Bf16> k, v;
  DeviceBuffer<std::int32_t> table;
  PagedKv<Bf16> view;
};

/// A decode launch but for the KV: queries, plan, memory of partial results.
struct BenchRows {
  BenchRows(std::int32_t batch, std::int32_t tokens, std::int32_t head_dim)
      : length(static_cast<std::size_t>(batch), tokens),
        plan(plan_decode({.contexts = length, .kv_heads = kKvHeads, .units = device_processors(), .block = 64})),
        q(random_on_device(static_cast<std::size_t>(batch * kHeads * head_dim), 3, "q")), out(q.size(), "out"),
        kv_len(length, "lengths"), tiles(plan.tiles, "tiles"), offset(before(plan), "splits before"),
        o(static_cast<std::size_t>(before(plan).back() * kHeads * head_dim), "o"),
        m(static_cast<std::size_t>(before(plan).back() * kHeads), "m"), l(m.size(), "l"),
        outside(static_cast<std::size_t>(batch * kHeads), "outside") {
    rows = {.q = q.data(), .out = out.data(), .kv_len = kv_len.data(), .batch = batch, .heads = kHeads,
            .kv_heads = kKvHeads, .head_dim = head_dim, .q_stride = 0, .scale = 0.088f, .tiles = tiles.data(),
            .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
            .partials = {o.data(), m.data(), l.data(), offset.data()}, .outside = outside.data()};
  }
  static std::vector<std::int32_t> before(const LaunchPlan& plan) {
    std::vector<std::int32_t> sum{0};
    for (std::int32_t s : plan.splits) sum.push_back(sum.back() + s);
    return sum;
  }
  std::vector<std::int32_t> length;
  LaunchPlan plan;
  DeviceBuffer<Bf16> q, out;
  DeviceBuffer<std::int32_t> kv_len;
  DeviceBuffer<LaunchTile> tiles;
  DeviceBuffer<std::int32_t> offset;
  DeviceBuffer<float> o, m, l;
  DeviceBuffer<std::uint8_t> outside;
  DecodeRows<Bf16> rows;
};

double kv_numbers(benchmark::State& state, std::int32_t head_dim) {
  return 2.0 * static_cast<double>(state.range(0)) * static_cast<double>(state.range(1)) * kKvHeads * head_dim;
}

/// MB; read and written.
void copy_on_device(benchmark::State& state) {
  const std::int64_t bytes = state.range(0) << 20;
  const int copies = timer().copies(2 * bytes);
  std::vector<DeviceBuffer<Bf16>> from, to;
  for (int i = 0; i < copies; ++i) {
    from.push_back(random_on_device(static_cast<std::size_t>(bytes / 2), 1, "from"));
    to.emplace_back(static_cast<std::size_t>(bytes / 2), "to");
  }
  for (auto _ : state) {
    report(state, timer().time(copies, [&](int i, Stream stream) {
      const auto at = static_cast<std::size_t>(i);
      check_cuda(cudaMemcpyAsync(to[at].data(), from[at].data(), static_cast<std::size_t>(bytes),
                                 cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream)), "copy on the device");
    }), 0, 2.0 * static_cast<double>(bytes));
  }
}
BENCHMARK(copy_on_device)->Arg(16)->Arg(64)->Arg(512)->UseManualTime()->Iterations(1);

/// Batch, context, page, unified maximum (0 or 1).
void decode_bf16(benchmark::State& state) {
  const auto batch = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1));
  const double bytes = 2 * kv_numbers(state, 128);
  const int copies = timer().copies(static_cast<std::int64_t>(bytes));
  std::vector<BenchPool> pools;
  for (int i = 0; i < copies; ++i) pools.emplace_back(batch, context, static_cast<std::int32_t>(state.range(2)), 128);
  BenchRows rows(batch, context, 128);
  if (state.range(3)) rows.rows.softmax = SoftmaxMode::kUnified;
  for (auto _ : state) {
    report(state, timer().time(copies, [&](int i, Stream stream) {
      attention_decode({rows.rows, pools[static_cast<std::size_t>(i)].view}, stream);
    }), 2 * kGroup * kv_numbers(state, 128), bytes);
  }
}
BENCHMARK(decode_bf16)
    ->ArgsProduct({{1, 8, 32, 128}, {1024, 2048, 8192}, {16}, {0}})
    ->Args({1, 32768, 16, 0})->Args({8, 32768, 16, 0})->Args({32, 8192, 8192, 0})->Args({32, 8192, 16, 1})
    ->UseManualTime()->Iterations(1);

/// Batch, context. The pool's bytes are random, which is all that the time depends on.
void decode_fp8(benchmark::State& state) {
  const auto batch = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1));
  const double bytes = kv_numbers(state, 128);
  const int copies = timer().copies(static_cast<std::int64_t>(bytes));
  std::vector<BenchPool> pools;              // of bf16 with half the tokens: the same bytes
  for (int i = 0; i < copies; ++i) pools.emplace_back(batch, context / 2, 16, 128);
  const BenchRows rows(batch, context, 128);
  const DeviceBuffer<std::int32_t> table(random_pages(std::int64_t{batch} * (context / 16)), "table");
  const DeviceBuffer<float> scale(std::vector<float>(kKvHeads, 1.0f / 256), "scales");
  for (auto _ : state) {
    report(state, timer().time(copies, [&](int i, Stream stream) {
      const BenchPool& pool = pools[static_cast<std::size_t>(i)];
      fp8_decode({rows.rows,
                  {reinterpret_cast<Fp8*>(pool.k.data()), reinterpret_cast<Fp8*>(pool.v.data()), table.data(),
                   context / 16, 16, kKvHeads, 128},
                  scale.data(), scale.data()}, stream);
    }), 2 * kGroup * kv_numbers(state, 128), bytes);
  }
}
BENCHMARK(decode_fp8)->Args({8, 8192})->Args({32, 8192})->Args({128, 2048})->UseManualTime()->Iterations(1);

/// Batch, context, bits; residual 128.
void decode_kivi(benchmark::State& state) {
  const auto batch = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1));
  const auto bits = static_cast<std::int32_t>(state.range(2));
  const std::size_t pages = static_cast<std::size_t>(batch * (context / 32)), width = kKvHeads * 128;
  const double bytes = kv_numbers(state, 128) * (bits + 1) / 8;
  const int copies = timer().copies(static_cast<std::int64_t>(bytes));
  const std::size_t codes = pages * width * 4 * static_cast<std::size_t>(bits);
  struct Copy {
    DeviceBuffer<Bf16> k_codes, v_codes;     // any bits will do
    DeviceBuffer<Bf16> params[4];            // random bf16 are small halves
  };
  std::vector<Copy> pools;
  for (int i = 0; i < copies; ++i) {
    pools.push_back({random_on_device(codes / 2, 1, "key codes"), random_on_device(codes / 2, 2, "value codes"),
                     {random_on_device(pages * width, 3, "key scales"), random_on_device(pages * width, 4, "key zeros"),
                      random_on_device(pages * width, 5, "value scales"),
                      random_on_device(pages * width, 6, "value zeros")}});
  }
  const DeviceBuffer<Bf16> recent = random_on_device(static_cast<std::size_t>(batch) * 128 * width, 7, "recent");
  const DeviceBuffer<std::int32_t> table(random_pages(static_cast<std::int64_t>(pages)), "table");
  const BenchRows rows(batch, context, 128);
  for (auto _ : state) {
    report(state, timer().time(copies, [&](int i, Stream stream) {
      const Copy& c = pools[static_cast<std::size_t>(i)];
      const auto half = [&](int p) { return reinterpret_cast<Half*>(c.params[p].data()); };
      kivi_decode({rows.rows,
                   {reinterpret_cast<std::uint8_t*>(c.k_codes.data()), half(0), half(1),
                    reinterpret_cast<std::uint8_t*>(c.v_codes.data()), half(2), half(3), recent.data(), recent.data(),
                    table.data(), context / 32, kKvHeads, 128, bits, 128}}, stream);
    }), 2 * kGroup * kv_numbers(state, 128), bytes);
  }
}
BENCHMARK(decode_kivi)
    ->ArgsProduct({{8, 32}, {8192}, {2, 4}})->Args({128, 2048, 4})->UseManualTime()->Iterations(1);

/// `batch` chunks of `chunk` tokens after `cached` ones.
struct BenchChunks {
  BenchChunks(std::int32_t batch, std::int32_t chunk, std::int32_t cached, std::int32_t page, std::int32_t head_dim)
      : queries(static_cast<std::size_t>(batch), chunk), contexts(static_cast<std::size_t>(batch), cached),
        plan(plan_prefill({.queries = queries, .contexts = contexts, .kv_heads = kKvHeads, .block = 64,
                           .rows = prefill_tile_tokens(kGroup)})),
        pool(batch, chunk + cached, page, head_dim),
        q(random_on_device(static_cast<std::size_t>(std::int64_t{batch} * chunk * kHeads * head_dim), 3, "q")),
        out(q.size(), "out"), offset(before(queries), "offsets"), context(contexts, "contexts"),
        tiles(plan.tiles, "tiles"),
        args{.q = q.data(), .out = out.data(), .q_offset = offset.data(), .context = context.data(), .kv = pool.view,
             .sequences = batch, .heads = kHeads, .q_stride = 0, .scale = 0.088f, .tiles = tiles.data(),
             .tile_count = static_cast<std::int64_t>(plan.tiles.size())} {}
  static std::vector<std::int32_t> before(const std::vector<std::int32_t>& queries) {
    std::vector<std::int32_t> sum{0};
    for (std::int32_t n : queries) sum.push_back(sum.back() + n);
    return sum;
  }
  std::int64_t rows() const { return std::accumulate(queries.begin(), queries.end(), std::int64_t{0}); }
  double flops() const {
    double pairs = 0;
    for (std::size_t i = 0; i < queries.size(); ++i) pairs += queries[i] * (contexts[i] + queries[i] / 2.0);
    return 4 * pairs * kHeads * pool.view.head_dim;
  }
  std::vector<std::int32_t> queries, contexts;
  LaunchPlan plan;
  BenchPool pool;
  DeviceBuffer<Bf16> q, out;
  DeviceBuffer<std::int32_t> offset, context;
  DeviceBuffer<LaunchTile> tiles;
  PrefillArgs<Bf16> args;
};

/// Batch, chunk, cached, head size, page; warpgroups (0 or 1).
void prefill(benchmark::State& state) {
  const auto arg = [&](int i) { return static_cast<std::int32_t>(state.range(static_cast<std::size_t>(i))); };
  const BenchChunks chunks(arg(0), arg(1), arg(2), arg(4), arg(3));
  if (arg(5) && !prefill_warpgroups_can(chunks.args)) return state.SkipWithError("not an sm_90");
  for (auto _ : state) {
    report(state, timer().time(1, [&](int, Stream stream) {
      if (arg(5)) attention_prefill_warpgroups(chunks.args, chunks.rows(), stream);
      else attention_prefill(chunks.args, stream);
    }), chunks.flops(), 0);
  }
}
BENCHMARK(prefill)
    ->ArgsProduct({{1}, {512, 1024, 2048, 4096, 8192, 16384}, {0}, {64, 128}, {16}, {0, 1}})
    ->ArgsProduct({{1}, {512, 2048}, {8192}, {128}, {16, 128}, {0, 1}})
    ->Args({16, 1024, 0, 128, 16, 1})
    ->UseManualTime()->Iterations(1);

/// Chunk after 8k cached tokens, decodes of 8k tokens; in one launch (1) or two after another (0).
void mixed(benchmark::State& state) {
  const auto decodes = static_cast<std::int32_t>(state.range(1));
  const BenchChunks chunks(1, static_cast<std::int32_t>(state.range(0)), 8192, 16, 128);
  const BenchPool pool(decodes, 8192, 16, 128);
  const BenchRows rows(decodes, 8192, 128);
  const LaunchPlan plan = plan_mixed(chunks.plan, rows.plan);
  const DeviceBuffer<LaunchTile> tiles(plan.tiles, "mixed tiles");
  const MixedArgs<Bf16> args{chunks.args, {rows.rows, pool.view}, tiles.data(),
                             static_cast<std::int64_t>(plan.tiles.size())};
  for (auto _ : state) {
    report(state, timer().time(1, [&](int, Stream stream) {
      if (state.range(2)) {
        attention_mixed(args, stream);
      } else {
        attention_prefill(chunks.args, stream);
        attention_decode({rows.rows, pool.view}, stream);
      }
    }), chunks.flops(), 4.0 * decodes * 8192 * kKvHeads * 128);
  }
}
BENCHMARK(mixed)->ArgsProduct({{512, 2048}, {32, 128}, {0, 1}})->UseManualTime()->Iterations(1);

/// Batch, context, nodes of each tree (a chain); compare with decode_bf16 of the same batch and context.
void tree(benchmark::State& state) {
  const auto batch = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1));
  const auto nodes = static_cast<std::int32_t>(state.range(2));
  const BenchPool pool(batch, context + nodes, 16, 128);
  const std::vector<std::int32_t> tokens(static_cast<std::size_t>(batch), context + nodes);
  const LaunchPlan plan =
      plan_decode({.contexts = tokens, .kv_heads = kKvHeads, .units = device_processors(), .block = 64});
  std::vector<std::int32_t> first{0}, parts{0};
  std::vector<std::uint64_t> chain;
  for (std::int32_t s = 0; s < batch; ++s) {
    first.push_back(first.back() + nodes);
    parts.push_back(parts.back() + nodes * plan.splits[static_cast<std::size_t>(s)]);
    for (std::int32_t i = 0; i < nodes; ++i) chain.push_back(~0ull >> (63 - i));
  }
  const DeviceBuffer<Bf16> q = random_on_device(static_cast<std::size_t>(batch * nodes * kHeads * 128), 3, "q");
  const DeviceBuffer<Bf16> out(q.size(), "out");
  const DeviceBuffer<std::int32_t> node_offset(first, "nodes before"), part_offset(parts, "parts before");
  const std::vector<std::int32_t> before(static_cast<std::size_t>(batch), context);
  const DeviceBuffer<std::int32_t> contexts(before, "contexts");
  const DeviceBuffer<std::uint64_t> mask(chain, "masks");
  const DeviceBuffer<LaunchTile> tiles(plan.tiles, "tiles");
  const auto part_rows = static_cast<std::size_t>(parts.back()) * kHeads;
  const DeviceBuffer<float> o(part_rows * 128, "o"), m(part_rows, "m"), l(part_rows, "l");
  for (auto _ : state) {
    report(state, timer().time(1, [&](int, Stream stream) {
      attention_tree({.q = q.data(), .out = out.data(), .node_offset = node_offset.data(), .context = contexts.data(),
                      .mask = mask.data(), .kv = pool.view, .sequences = batch, .heads = kHeads, .scale = 0.088f},
                     {.tiles = tiles.data(), .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
                      .most_nodes = nodes, .partials = {o.data(), m.data(), l.data(), part_offset.data()}}, stream);
    }), 0, 2 * kv_numbers(state, 128));
  }
}
BENCHMARK(tree)->ArgsProduct({{8, 32}, {4096, 8192}, {1, 16, 64}})->UseManualTime()->Iterations(1);

}  // namespace
}  // namespace orrery::gpu_cuda
