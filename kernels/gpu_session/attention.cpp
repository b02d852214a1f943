#include <cmath>
#include <optional>

#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "kernels/attention_mixed/attention_mixed_gpu.hpp"
#include "kernels/attention_prefill/attention_prefill_gpu.hpp"
#include "kernels/attention_tree/attention_tree_gpu.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/gpu_session/session.hpp"
#include "kernels/kv_quant/append_gpu.hpp"
#include "kernels/kv_quant/kv_quant_gpu.hpp"
#include "sim/base/launch_plan.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr int kHeads = 32, kKvHeads = 8;

std::string by(std::int64_t a, std::int64_t b) { return std::to_string(a) + "x" + std::to_string(b); }

/// Pages of `sequences` sequences of `tokens` tokens each, in an order that is not that of their use.
struct Pages {
  std::int32_t page_tokens, each;
  std::vector<std::int32_t> table;
  DeviceBuffer<std::int32_t> device;

  Pages(std::int64_t sequences, std::int64_t tokens, std::int32_t size)
      : page_tokens(size), each(static_cast<std::int32_t>((tokens + size - 1) / size)) {
    const std::int64_t all = sequences * each;
    const std::int64_t step = all % 7 ? 7 : 1;
    for (std::int64_t i = 0; i < all; ++i) table.push_back(static_cast<std::int32_t>(i * step % all));
    device = DeviceBuffer<std::int32_t>(table, "table");
  }
  std::int64_t tokens() const { return static_cast<std::int64_t>(table.size()) * page_tokens; }
};

/// KV in bf16 under such pages, with as many copies as a rotation needs.
struct Kv {
  int head_dim;
  std::vector<DeviceBuffer<Bf16>> k, v;
  Kv(const Session& s, const Pages& pages, int d) : head_dim(d) {
    const std::int64_t n = pages.tokens() * kKvHeads * d;
    for (int i = 0; i < s.copies(4 * n); ++i) {
      k.push_back(random_buffer(n, 20 + 2 * i));
      v.push_back(random_buffer(n, 21 + 2 * i));
    }
  }
  int copies() const { return static_cast<int>(k.size()); }
  PagedKv<Bf16> view(int copy, const Pages& p) const {
    return {k[copy].data(), v[copy].data(), p.device.data(), p.each, p.page_tokens, kKvHeads, head_dim};
  }
};

/// Decode rows of one length: queries, plan and memory of the partial results.
struct Rows {
  int d;
  DeviceBuffer<Bf16> q, out;
  DeviceBuffer<std::int32_t> lengths, offset;
  LaunchPlan plan;
  DeviceBuffer<LaunchTile> tiles;
  DeviceBuffer<float> o, m, l;
  DeviceBuffer<std::uint8_t> outside;

  Rows(const Session& s, std::int64_t batch, std::int64_t context, int head_dim)
      : d(head_dim),
        q(random_buffer(batch * kHeads * d, 5, 2)),
        out(static_cast<std::size_t>(batch * kHeads * d), "out") {
    const std::vector<std::int32_t> contexts(batch, static_cast<std::int32_t>(context));
    plan = plan_decode({.contexts = contexts, .kv_heads = kKvHeads, .units = s.processors(), .block = kKvBlock});
    std::vector<std::int32_t> offsets{0};
    for (std::int32_t splits : plan.splits) offsets.push_back(offsets.back() + splits);
    const auto parts = static_cast<std::size_t>(offsets.back()) * kHeads;
    lengths = DeviceBuffer<std::int32_t>(contexts, "lengths");
    offset = DeviceBuffer<std::int32_t>(offsets, "offset");
    tiles = DeviceBuffer<LaunchTile>(plan.tiles, "tiles");
    o = DeviceBuffer<float>(parts * d, "o");
    m = DeviceBuffer<float>(parts, "m");
    l = DeviceBuffer<float>(parts, "l");
    outside = DeviceBuffer<std::uint8_t>(static_cast<std::size_t>(batch) * kHeads, "outside");
  }
  DecodeRows<Bf16> args(SoftmaxMode mode = SoftmaxMode::kSynchronised) const {
    return {.q = q.data(),
            .out = out.data(),
            .kv_len = lengths.data(),
            .batch = static_cast<std::int32_t>(lengths.size()),
            .heads = kHeads,
            .kv_heads = kKvHeads,
            .head_dim = d,
            .scale = static_cast<float>(1 / std::sqrt(double(d))),
            .tiles = tiles.data(),
            .tile_count = static_cast<std::int64_t>(tiles.size()),
            .partials = {o.data(), m.data(), l.data(), offset.data()},
            .softmax = mode,
            .outside = outside.data()};
  }
};

std::string rows_shape(std::int64_t batch, std::int64_t context, int d) {
  return std::to_string(batch) + " x " + std::to_string(context) + ", 32/8 heads of " + std::to_string(d);
}
double kv_bytes(std::int64_t batch, std::int64_t context, int d) {
  return 4.0 * static_cast<double>(batch * context * kKvHeads * d);
}

/// Both maxima; then contiguous KV against pages of 16.
void measure_decode(Session& s, std::int64_t batch, std::int64_t context, int d) {
  const Rows rows(s, batch, context, d);
  double paged = 0, synchronised = 0;
  for (const bool contiguous : {false, true}) {
    const Pages pages(batch, context, contiguous ? static_cast<std::int32_t>((context + 15) / 16 * 16) : 16);
    const Kv kv(s, pages, d);
    for (const SoftmaxMode mode : {SoftmaxMode::kSynchronised, SoftmaxMode::kUnified}) {
      if (contiguous && mode == SoftmaxMode::kUnified) continue;
      const Timing t = s.time(kv.copies(), [&](int i, Stream stream) {
        attention_decode(DecodeArgs<Bf16>{rows.args(mode), kv.view(i, pages)}, stream);
      });
      Result r{.name = contiguous                      ? "decode, contiguous"
                       : mode == SoftmaxMode::kUnified ? "decode, unified maximum"
                                                       : "decode",
               .shape = rows_shape(batch, context, d),
               .timing = t,
               .bytes = kv_bytes(batch, context, d)};
      if (contiguous) r.baseline = "pages of 16", r.baseline_seconds = paged;
      else if (mode == SoftmaxMode::kUnified) r.baseline = "synchronised", r.baseline_seconds = synchronised;
      else paged = synchronised = t.seconds;
      r.baseline.empty() ? s.add_memory_bound(r) : s.add(r);
    }
  }
}

/// fp8 and KIVI, filled by their own appending kernels, against bf16.
void measure_quantised(Session& s, std::int64_t batch, std::int64_t context, int d) {
  const Rows rows(s, batch, context, d);
  const std::int64_t tokens = batch * context, width = kKvHeads * d;
  const Pages pages(batch, context, 16), groups(batch, context, kKiviGroup);
  const Kv bf16(s, pages, d);
  const double reference = s.time(bf16.copies(), [&](int i, Stream stream) {
    attention_decode(DecodeArgs<Bf16>{rows.args(), bf16.view(i, pages)}, stream);
  }).seconds;
  const auto k = random_buffer(tokens * width, 30), v = random_buffer(tokens * width, 31);
  const auto add = [&](const std::string& name, double share, Timing t) {
    s.add({.name = name,
           .shape = rows_shape(batch, context, d),
           .timing = t,
           .bytes = share * kv_bytes(batch, context, d),
           .baseline = "bf16",
           .baseline_seconds = reference});
  };
  std::vector<std::int32_t> sequence, position, offset{0};
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t t = 0; t < context; ++t) {
      sequence.push_back(static_cast<std::int32_t>(b));
      position.push_back(static_cast<std::int32_t>(t));
    }
    offset.push_back(offset.back() + static_cast<std::int32_t>(context));
  }
  const DeviceBuffer<std::int32_t> sequence_d(sequence, "sequence"), position_d(position, "position"),
      offset_d(offset, "offset"), before(std::vector<std::int32_t>(batch), "context");
  const DeviceBuffer<float> scale(std::vector<float>(kKvHeads, 0.01f), "scale");
  {
    std::vector<DeviceBuffer<Fp8>> k8, v8;
    for (int i = 0; i < s.copies(2 * tokens * width); ++i) {
      k8.emplace_back(pages.tokens() * width, "k8");
      v8.emplace_back(pages.tokens() * width, "v8");
    }
    const auto view = [&](int i) {
      return PagedKv<Fp8>{k8[i].data(), v8[i].data(), pages.device.data(), pages.each, 16, kKvHeads, d};
    };
    for (std::size_t i = 0; i < k8.size(); ++i) {
      fp8_append({k.data(), v.data(), sequence_d.data(), position_d.data(), view(static_cast<int>(i)), scale.data(),
                  scale.data(), tokens, 0},
                 s.stream());
    }
    add("decode fp8", 0.5, s.time(static_cast<int>(k8.size()), [&](int i, Stream stream) {
      fp8_decode(Fp8DecodeArgs<Bf16>{rows.args(), view(i), scale.data(), scale.data()}, stream);
    }));
  }
  for (const int bits : {4, 2}) {
    const std::int64_t codes = groups.tokens() * width * bits / 8, scales = groups.tokens() * width / 32;
    const int residual = s.pick(128, 32);
    struct Pool {
      DeviceBuffer<std::uint8_t> kc, vc;
      DeviceBuffer<Half> ks, kz, vs, vz;
      DeviceBuffer<Bf16> kr, vr;
    };
    std::vector<Pool> pools;
    const auto bytes = [](std::int64_t n) { return DeviceBuffer<std::uint8_t>(n, "codes"); };
    const auto halves = [](std::int64_t n) { return DeviceBuffer<Half>(n, "scales"); };
    const auto recent = [&] { return DeviceBuffer<Bf16>(batch * residual * width, "recent"); };
    const auto view = [&](int i) {
      const Pool& p = pools[i];
      return KiviPool<Bf16>{p.kc.data(), p.ks.data(), p.kz.data(),          p.vc.data(), p.vs.data(), p.vz.data(),
                            p.kr.data(), p.vr.data(), groups.device.data(), groups.each, kKvHeads,    d,
                            bits,        residual};
    };
    for (int i = 0; i < s.copies(2 * codes + 8 * scales); ++i) {
      pools.push_back({bytes(codes), bytes(codes), halves(scales), halves(scales), halves(scales), halves(scales),
                       recent(), recent()});
      kivi_append({.k = k.data(),
                   .v = v.data(),
                   .offset = offset_d.data(),
                   .context = before.data(),
                   .kv = view(i),
                   .sequences = static_cast<std::int32_t>(batch),
                   .most_tokens = static_cast<std::int32_t>(context)},
                  s.stream());
    }
    add("decode kivi " + std::to_string(bits) + " bit", (bits + 1) / 16.0,
        s.time(static_cast<int>(pools.size()), [&](int i, Stream stream) {
          kivi_decode(KiviDecodeArgs<Bf16>{rows.args(), view(i)}, stream);
        }));
  }
}

/// Chunks of one length behind a cached prefix.
struct Chunks {
  int d;
  std::int64_t sequences, queries, context;
  Pages pages;
  Kv kv;
  DeviceBuffer<Bf16> q, out;
  DeviceBuffer<std::int32_t> offset, before;
  LaunchPlan plan;
  DeviceBuffer<LaunchTile> tiles;

  Chunks(const Session& s, std::int64_t n, std::int64_t new_tokens, std::int64_t cached, int head_dim)
      : d(head_dim),
        sequences(n),
        queries(new_tokens),
        context(cached),
        pages(n, new_tokens + cached, 16),
        kv(s, pages, d),
        q(random_buffer(n * new_tokens * kHeads * d, 5, 2)),
        out(static_cast<std::size_t>(n * new_tokens * kHeads * d), "out") {
    const std::vector<std::int32_t> fresh(n, static_cast<std::int32_t>(new_tokens)),
        old(n, static_cast<std::int32_t>(cached));
    std::vector<std::int32_t> offsets;
    for (std::int64_t i = 0; i <= n; ++i) offsets.push_back(static_cast<std::int32_t>(i * new_tokens));
    plan = plan_prefill({.queries = fresh,
                         .contexts = old,
                         .kv_heads = kKvHeads,
                         .block = kKvBlock,
                         .rows = prefill_tile_tokens(kHeads / kKvHeads)});
    offset = DeviceBuffer<std::int32_t>(offsets, "offset");
    before = DeviceBuffer<std::int32_t>(old, "context");
    tiles = DeviceBuffer<LaunchTile>(plan.tiles, "tiles");
  }
  PrefillArgs<Bf16> args(int copy) const {
    return {.q = q.data(),
            .out = out.data(),
            .q_offset = offset.data(),
            .context = before.data(),
            .kv = kv.view(copy, pages),
            .sequences = static_cast<std::int32_t>(sequences),
            .heads = kHeads,
            .scale = static_cast<float>(1 / std::sqrt(double(d))),
            .tiles = tiles.data(),
            .tile_count = static_cast<std::int64_t>(tiles.size())};
  }
  double flops() const {
    const double pairs =
        static_cast<double>(queries) * (static_cast<double>(context) + (static_cast<double>(queries) + 1) / 2);
    return 4.0 * static_cast<double>(sequences) * kHeads * d * pairs;
  }
  std::string shape() const {
    return std::to_string(sequences) + " x " + std::to_string(queries) + " on " + std::to_string(context) +
           ", 32/8 heads of " + std::to_string(d);
  }
};

void measure_prefill(Session& s, std::int64_t sequences, std::int64_t queries, std::int64_t context, int d) {
  const Chunks c(s, sequences, queries, context, d);
  const Timing t = s.time(c.kv.copies(), [&](int i, Stream stream) { attention_prefill(c.args(i), stream); });
  s.add({.name = "prefill", .shape = c.shape(), .timing = t, .flops = c.flops()});
  if (!prefill_warpgroups_can(c.args(0))) return;
  const Timing warpgroups = s.time(c.kv.copies(), [&](int i, Stream stream) {
    attention_prefill_warpgroups(c.args(i), sequences * queries, stream);
  });
  s.add({.name = "prefill, warpgroups",
         .shape = c.shape(),
         .timing = warpgroups,
         .flops = c.flops(),
         .baseline = "mma.sync",
         .baseline_seconds = t.seconds});
}

/// One launch against the two kernels apart.
void measure_mixed(Session& s, std::int64_t queries, std::int64_t context, std::int64_t batch, std::int64_t length,
                   int d) {
  const Chunks c(s, 1, queries, context, d);
  const Rows rows(s, batch, length, d);
  const Pages pages(batch, length, 16);
  const Kv kv(s, pages, d);
  const LaunchPlan both = plan_mixed(c.plan, rows.plan);
  const DeviceBuffer<LaunchTile> tiles(both.tiles, "tiles");
  const auto decode = [&](int i) { return DecodeArgs<Bf16>{rows.args(), kv.view(i % kv.copies(), pages)}; };
  const int copies = std::max(c.kv.copies(), kv.copies());
  const double apart = s.time(copies, [&](int i, Stream stream) {
    attention_prefill(c.args(i % c.kv.copies()), stream);
    attention_decode(decode(i), stream);
  }).seconds;
  const Timing t = s.time(copies, [&](int i, Stream stream) {
    attention_mixed({.prefill = c.args(i % c.kv.copies()), .decode = decode(i), .tiles = tiles.data(),
                     .tile_count = static_cast<std::int64_t>(tiles.size())}, stream);
  });
  s.add({.name = "mixed",
         .shape = c.shape() + " with " + std::to_string(batch) + " x " + std::to_string(length),
         .timing = t,
         .baseline = "the two apart",
         .baseline_seconds = apart});
}

/// Drafted trees of `nodes`, each node after the one before it, against one query a sequence.
void measure_tree(Session& s, std::int64_t batch, std::int64_t context, int nodes, int d) {
  const Rows one(s, batch, context, d);
  const std::int64_t all = context + nodes;
  const Pages pages(batch, all, 16);
  const Kv kv(s, pages, d);
  const double reference = s.time(kv.copies(), [&](int i, Stream stream) {
    attention_decode(DecodeArgs<Bf16>{one.args(), kv.view(i, pages)}, stream);
  }).seconds;
  const std::vector<std::int32_t> lengths(batch, static_cast<std::int32_t>(all)),
      contexts(batch, static_cast<std::int32_t>(context));
  std::vector<std::int32_t> node_offset{0}, part_offset{0};
  std::vector<std::uint64_t> mask;
  const LaunchPlan plan =
      plan_decode({.contexts = lengths, .kv_heads = kKvHeads, .units = s.processors(), .block = kKvBlock});
  for (std::int64_t b = 0; b < batch; ++b) {
    node_offset.push_back(node_offset.back() + nodes);
    part_offset.push_back(part_offset.back() + plan.splits[b] * nodes);
    for (int i = 0; i < nodes; ++i) mask.push_back(~std::uint64_t{0} >> (63 - i));
  }
  const auto parts = static_cast<std::size_t>(part_offset.back()) * kHeads;
  const DeviceBuffer<float> o(parts * d, "o"), m(parts, "m"), l(parts, "l");
  const DeviceBuffer<std::int32_t> node_offset_d(node_offset, "nodes"), part_offset_d(part_offset, "parts"),
      contexts_d(contexts, "context");
  const DeviceBuffer<std::uint64_t> mask_d(mask, "mask");
  const DeviceBuffer<LaunchTile> tiles(plan.tiles, "tiles");
  const auto q = random_buffer(batch * nodes * kHeads * d, 7, 2);
  const DeviceBuffer<Bf16> out(static_cast<std::size_t>(batch) * nodes * kHeads * d, "out");
  const Timing t = s.time(kv.copies(), [&](int i, Stream stream) {
    attention_tree({.q = q.data(),
                    .out = out.data(),
                    .node_offset = node_offset_d.data(),
                    .context = contexts_d.data(),
                    .mask = mask_d.data(),
                    .kv = kv.view(i, pages),
                    .sequences = static_cast<std::int32_t>(batch),
                    .heads = kHeads,
                    .scale = static_cast<float>(1 / std::sqrt(double(d)))},
                   {.tiles = tiles.data(),
                    .tile_count = static_cast<std::int64_t>(tiles.size()),
                    .most_nodes = nodes,
                    .partials = {o.data(), m.data(), l.data(), part_offset_d.data()}},
                   stream);
  });
  s.add({.name = "tree of " + std::to_string(nodes), .shape = rows_shape(batch, context, d), .timing = t,
         .bytes = kv_bytes(batch, all, d), .baseline = "one query a sequence", .baseline_seconds = reference});
}

}  // namespace

void measure_decode(Session& s) {
  if (s.small()) return measure_decode(s, 2, 70, 64);
  const std::int64_t decodes[][2] = {{1, 1024}, {1, 8192}, {1, 32768}, {8, 1024}, {8, 8192}, {8, 32768}, {32, 1024},
                                     {32, 4096}, {32, 8192}, {128, 1024}, {128, 2048}};
  for (const auto& [batch, context] : decodes) {
    s.group("decode " + by(batch, context), [&, b = batch, c = context] { measure_decode(s, b, c, 128); });
  }
  s.group("decode of heads of 64", [&] { measure_decode(s, 32, 8192, 64); });
}

void measure_quantised(Session& s) {
  if (s.small()) return measure_quantised(s, 2, 100, 64);
  for (const auto& [batch, context] : {std::pair{32, 4096}, {128, 2048}}) {
    s.group("quantised " + by(batch, context), [&, b = batch, c = context] { measure_quantised(s, b, c, 128); });
  }
}

void measure_prefill(Session& s) {
  if (s.small()) return measure_prefill(s, 1, 40, 30, 64);
  for (const std::int64_t n : {512, 1024, 2048, 4096, 8192, 16384}) {
    for (const int d : {128, 64})
      s.group("prefill " + by(16384 / n, n), [&] { measure_prefill(s, 16384 / n, n, 0, d); });
  }
  for (const std::int64_t n : {512, 2048})
    s.group("prefill behind a context " + by(n, 8192), [&] { measure_prefill(s, 1, n, 8192, 128); });
}

void measure_mixed(Session& s) {
  if (s.small()) return measure_mixed(s, 33, 20, 2, 70, 64);
  for (const std::int64_t n : {512, 1024, 2048}) {
    for (const std::int64_t batch : {32, 128})
      s.group("mixed " + by(n, batch), [&] { measure_mixed(s, n, 8192, batch, 2048, 128); });
  }
}

void measure_tree(Session& s) {
  if (s.small()) return measure_tree(s, 2, 70, 5, 64);
  for (const int nodes : {16, 32, 64})
    s.group("tree of " + std::to_string(nodes), [&] { measure_tree(s, 8, 8192, nodes, 128); });
}

}  // namespace orrery::ORRERY_GPU
