/// Attention launches on device memory beside the same launch of the CPU backend in double, which is the reference.
/// Outputs and partial results are poisoned, and so is what lies between the sequences in the pool.
#pragma once

#include <vector>

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/attention_prefill/attention_prefill.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {

/// A paged pool on the device.
struct DeviceKv {
  DeviceKv(TestKv<Bf16>& host, int max_pages)
      : k(host.k, "keys"), v(host.v, "values"), table(host.table, "block table"), view(host.view()) {
    view.k = k.data();
    view.v = v.data();
    view.table = table.data();
    view.max_pages = max_pages;
  }
  DeviceBuffer<Bf16> k, v;
  DeviceBuffer<std::int32_t> table;
  PagedKv<Bf16> view;
};

/// Memory for the partial results of a plan.
struct DevicePartials {
  DevicePartials(const std::vector<std::int32_t>& rows_before, int heads, int head_dim)
      : rows(static_cast<std::size_t>(rows_before.back()) * static_cast<std::size_t>(heads)),
        o(rows * static_cast<std::size_t>(head_dim), "partial o"), m(rows, "partial m"), l(rows, "partial l"),
        offset(rows_before, "rows of partials before") {
    o.poison();
    m.poison();
    l.poison();
  }
  Partials<float> view() { return {o.data(), m.data(), l.data(), offset.data()}; }
  std::size_t rows;
  DeviceBuffer<float> o, m, l;
  DeviceBuffer<std::int32_t> offset;
};

inline std::vector<std::int32_t> splits_before(const LaunchPlan& plan) {
  std::vector<std::int32_t> before{0};
  for (std::int32_t s : plan.splits) before.push_back(before.back() + s);
  return before;
}

/// Which sequences, and how decode rows are split.
struct DecodeShapeCase {
  AttentionShape shape;
  std::vector<Held> held;
  int page_tokens = 16;
  SplitRule rule = SplitRule::kFixedSize;
  int split_blocks = 2;
};

struct DecodeCase {
  explicit DecodeCase(const DecodeShapeCase& c)
      : shape(c.shape), length(lengths(c.held)),
        plan(plan_decode({.contexts = length, .kv_heads = c.shape.kv_heads, .units = 16, .block = 64, .rule = c.rule,
                          .split_blocks = c.split_blocks})),
        host_kv(c.held, c.page_tokens, c.shape), reference_kv(c.held, c.page_tokens, c.shape),
        q(queries_of<Bf16>(c.shape, newest(c.held)), "q"), reference_q(queries_of<double>(c.shape, newest(c.held))),
        kv_len(length, "lengths"), tiles(plan.tiles, "tiles"), out(q.size(), "out"),
        outside(length.size() * static_cast<std::size_t>(c.shape.heads), "outside"),
        partials(splits_before(plan), c.shape.heads, c.shape.head_dim) {
    out.poison();
    outside.poison();
    rows = {.q = q.data(), .out = out.data(), .kv_len = kv_len.data(),
            .batch = static_cast<std::int32_t>(length.size()), .heads = shape.heads, .kv_heads = shape.kv_heads,
            .head_dim = shape.head_dim, .q_stride = 0, .scale = static_cast<float>(shape.scale()),
            .tiles = tiles.data(), .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
            .partials = partials.view(), .outside = outside.data()};
  }
  static std::vector<std::int32_t> lengths(const std::vector<Held>& held) {
    std::vector<std::int32_t> n;
    for (const Held& h : held) n.push_back(h.tokens);
    return n;
  }
  static std::vector<std::pair<int, std::int64_t>> newest(const std::vector<Held>& held) {
    std::vector<std::pair<int, std::int64_t>> rows_of_texts;
    for (const Held& h : held) rows_of_texts.emplace_back(h.text, h.tokens - 1);
    return rows_of_texts;
  }
  /// Uploads the pool as it is now; tests may have written to both.
  DecodeArgs<Bf16> args() {
    device_kv.clear();
    device_kv.emplace_back(host_kv, host_kv.view().max_pages);
    return {rows, device_kv[0].view};
  }
  std::vector<double> reference() {
    std::vector<double> expected(reference_q.size());
    SplitSpace<double> space(plan, shape.heads, shape.head_dim);
    DecodeArgs<double> a;
    a.rows = {.q = reference_q.data(), .out = expected.data(), .kv_len = length.data(), .batch = rows.batch,
              .heads = shape.heads, .kv_heads = shape.kv_heads, .head_dim = shape.head_dim, .q_stride = 0,
              .scale = shape.scale(), .tiles = plan.tiles.data(), .tile_count = rows.tile_count,
              .partials = space.partials(), .outside = space.outside()};
    a.kv = reference_kv.view();
    orrery::attention_decode(a);
    return expected;
  }

  AttentionShape shape;
  std::vector<std::int32_t> length;
  LaunchPlan plan;
  TestKv<Bf16> host_kv;
  TestKv<double> reference_kv;
  DeviceBuffer<Bf16> q;
  std::vector<double> reference_q;
  DeviceBuffer<std::int32_t> kv_len;
  DeviceBuffer<LaunchTile> tiles;
  DeviceBuffer<Bf16> out;
  DeviceBuffer<std::uint8_t> outside;
  DevicePartials partials;
  DecodeRows<Bf16> rows;
  std::vector<DeviceKv> device_kv;
};

/// The bound of bf16 kernels against double. Of it, rounding the output takes 2^-9 and rounding the weights as much.
inline constexpr double kBf16Bound = 1e-2;

}  // namespace orrery::ORRERY_GPU
