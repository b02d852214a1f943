#include <algorithm>

#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#include "kernels/engine/weights_gpu.hpp"
#include "kernels/gpu_session/session.hpp"
#include "kernels/kv_quant/append_gpu.hpp"
#include "kernels/rmsnorm/rmsnorm_gpu.hpp"
#include "kernels/rope_append/rope_append_gpu.hpp"
#include "kernels/sampling/sampling_gpu.hpp"
#include "kernels/swiglu/swiglu_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

std::string by(std::int64_t a, std::int64_t b) { return std::to_string(a) + "x" + std::to_string(b); }

void measure_rmsnorm(Session& s, std::int64_t rows) {
  const std::int64_t dim = s.pick(4096, 64);
  const int copies = s.copies(4 * rows * dim * 2);
  std::vector<DeviceBuffer<Bf16>> x, r, out;
  for (int i = 0; i < copies; ++i) {
    x.push_back(random_buffer(rows * dim, 1));
    r.push_back(random_buffer(rows * dim, 2));
    out.emplace_back(rows * dim, "out");
  }
  const auto w = random_buffer(dim, 3);
  const Timing t = s.time(copies, [&](int i, Stream stream) {
    rmsnorm(
        {.x = x[i].data(), .residual = r[i].data(), .weight = w.data(), .out = out[i].data(), .rows = rows, .dim = dim},
        stream);
  });
  s.add_memory_bound({.name = "rmsnorm with residual", .shape = by(rows, dim), .timing = t,
                      .bytes = 8.0 * static_cast<double>(rows * dim)});
}

void measure_swiglu(Session& s, std::int64_t rows) {
  const std::int64_t dim = s.pick(14336, 64);
  const int copies = s.copies(6 * rows * dim);
  std::vector<DeviceBuffer<Bf16>> in, out;
  for (int i = 0; i < copies; ++i) {
    in.push_back(random_buffer(2 * rows * dim, 1));
    out.emplace_back(rows * dim, "out");
  }
  const Timing t = s.time(copies, [&](int i, Stream stream) {
    swiglu({in[i].data(), out[i].data(), rows, dim}, stream);
  });
  s.add_memory_bound(
      {.name = "swiglu", .shape = by(rows, dim), .timing = t, .bytes = 6.0 * static_cast<double>(rows * dim)});
}

/// One sequence, pages of 16 in order.
struct Chunk {
  std::vector<std::int32_t> sequence, position, table;
  Chunk(std::int64_t tokens, std::int32_t page_tokens) : sequence(tokens) {
    for (std::int32_t t = 0; t < tokens; ++t) position.push_back(t);
    for (std::int32_t p = 0; p * page_tokens < tokens; ++p) table.push_back(p);
  }
};

void measure_rope(Session& s, std::int64_t tokens) {
  const int heads = 32, kv_heads = 8, d = s.pick(128, 16), width = (heads + 2 * kv_heads) * d;
  const Chunk chunk(tokens, 16);
  const DeviceBuffer<std::int32_t> sequence(chunk.sequence, "s"), position(chunk.position, "p"),
      table(chunk.table, "t");
  const RopeTable<float> rope(tokens, d, 500000);
  const std::vector<float> cosines(rope.cosine(), rope.cosine() + tokens * d / 2),
      sines(rope.sine(), rope.sine() + tokens * d / 2);
  const DeviceBuffer<float> cosine(cosines, "cosine"), sine(sines, "sine");
  const std::size_t pool = chunk.table.size() * 16 * kv_heads * d;
  const int copies = s.copies(tokens * width * 4);
  std::vector<DeviceBuffer<Bf16>> qkv, k, v;
  for (int i = 0; i < copies; ++i) {
    qkv.push_back(random_buffer(tokens * width, 1));
    k.emplace_back(pool, "k");
    v.emplace_back(pool, "v");
  }
  const Timing t = s.time(copies, [&](int i, Stream stream) {
    Bf16* const q = qkv[i].data();
    rope_append(
        {.q = q,
         .k = q + heads * d,
         .v = q + (heads + kv_heads) * d,
         .sequence = sequence.data(),
         .position = position.data(),
         .kv = {k[i].data(), v[i].data(), table.data(), static_cast<std::int32_t>(chunk.table.size()), 16, kv_heads, d},
         .cosine = cosine.data(),
         .sine = sine.data(),
         .tokens = tokens,
         .heads = heads,
         .stride = width},
        stream);
  });
  s.add_memory_bound({.name = "rope with append",
                      .shape = std::to_string(tokens) + " tokens, 32/8 heads of " + std::to_string(d),
                      .timing = t,
                      .bytes = 4.0 * static_cast<double>(tokens * width)});
}

void measure_append(Session& s, std::int64_t tokens) {
  const int kv_heads = 8, d = s.pick(128, 32);
  const Chunk chunk(tokens, 16), groups(tokens, kKiviGroup);
  const auto k = random_buffer(tokens * kv_heads * d, 1), v = random_buffer(tokens * kv_heads * d, 2);
  const DeviceBuffer<std::int32_t> sequence(chunk.sequence, "s"), position(chunk.position, "p"),
      table(chunk.table, "t"), group_table(groups.table, "t"),
      offset(std::vector<std::int32_t>{0, static_cast<std::int32_t>(tokens)}, "offset"),
      context(std::vector<std::int32_t>{0}, "context");
  const DeviceBuffer<float> scale(std::vector<float>(kv_heads, 0.01f), "scale");
  const std::size_t pool = chunk.table.size() * 16 * kv_heads * d;
  DeviceBuffer<Fp8> k8(pool, "k"), v8(pool, "v");
  const double in = 4.0 * static_cast<double>(tokens * kv_heads * d);
  const std::string shape = std::to_string(tokens) + " tokens, 8 heads of " + std::to_string(d);
  const Timing fp8 = s.time(1, [&](int, Stream stream) {
    fp8_append({k.data(), v.data(), sequence.data(), position.data(),
                {k8.data(), v8.data(), table.data(), static_cast<std::int32_t>(chunk.table.size()), 16, kv_heads, d},
                scale.data(), scale.data(), tokens, 0}, stream);
  });
  s.add_memory_bound({.name = "fp8 append", .shape = shape, .timing = fp8, .bytes = 1.5 * in});
  for (const int bits : {4, 2}) {
    const std::size_t codes = groups.table.size() * kv_heads * d * 32 * bits / 8,
                      scales = groups.table.size() * kv_heads * d;
    DeviceBuffer<std::uint8_t> k_codes(codes, "k"), v_codes(codes, "v");
    DeviceBuffer<Half> ks(scales, "ks"), kz(scales, "kz"), vs(scales, "vs"), vz(scales, "vz");
    const int residual = s.pick(128, 32);
    DeviceBuffer<Bf16> kr(residual * kv_heads * d, "kr"), vr(residual * kv_heads * d, "vr");
    const Timing t = s.time(1, [&](int, Stream stream) {
      kivi_append(
          {.k = k.data(),
           .v = v.data(),
           .offset = offset.data(),
           .context = context.data(),
           .kv = {k_codes.data(), ks.data(), kz.data(), v_codes.data(), vs.data(), vz.data(), kr.data(), vr.data(),
                  group_table.data(), static_cast<std::int32_t>(groups.table.size()), kv_heads, d, bits, residual},
           .sequences = 1,
           .most_tokens = static_cast<std::int32_t>(tokens)},
          stream);
    });
    s.add_memory_bound({.name = "kivi append " + std::to_string(bits) + " bit", .shape = shape, .timing = t,
                        .bytes = in * (1 + bits / 16.0 + 2.0 / 32)});
  }
}

/// The bound is one pass over the logits.
void measure_sampling(Session& s, std::int64_t rows) {
  const std::int64_t vocab = s.pick(128256, 256);
  const auto logits = random_buffer(rows * vocab, 1, 16);
  DeviceBuffer<std::int32_t> out(rows, "out");
  for (const auto& [name, top_k, top_p, temperature] : {std::tuple{"greedy", 0, 1.0f, 0.0f},
                                                        {"plain", 0, 1.0f, 1.0f},
                                                        {"top-k 50", 50, 1.0f, 1.0f},
                                                        {"top-p 0.9", 0, 0.9f, 1.0f},
                                                        {"top-k 50 top-p 0.9", 50, 0.9f, 1.0f}}) {
    std::vector<SampleParams> host;
    for (std::int64_t i = 0; i < rows; ++i) {
      host.push_back({.temperature = temperature, .top_k = top_k, .top_p = top_p, .seed = 1,
                      .sequence = static_cast<std::uint64_t>(i)});
    }
    const DeviceBuffer<SampleParams> params(host, "params");
    const Timing t = s.time(1, [&](int, Stream stream) {
      sample({logits.data(), vocab, rows, params.data(), out.data()}, stream);
    });
    s.add_memory_bound({.name = std::string("sampling ") + name, .shape = by(rows, vocab), .timing = t,
                        .bytes = 2.0 * static_cast<double>(rows * vocab)});
  }
}

void measure_weights(Session& s) {
  const std::int64_t n = s.pick(std::int64_t{1} << 28, std::int64_t{1000});
  DeviceBuffer<Bf16> out(n, "out");
  const Timing t =
      s.time(1, [&](int, Stream stream) { make_weights(matrix_stream(1, 2, 4096), out.data(), n, stream); });
  s.add_memory_bound(
      {.name = "seeded weights", .shape = std::to_string(n), .timing = t, .bytes = 2.0 * static_cast<double>(n)});
}

}  // namespace

void measure_copies(Session& s) {
  const std::int64_t block = s.pick<std::int64_t>(2 << 20, 4096), blocks = s.pick(512, 4);
  const auto from = random_buffer(blocks * block / 2, 1);
  const DeviceBuffer<Bf16> to(blocks * block / 2, "to");
  std::vector<std::int64_t> pairs;
  for (std::int64_t b = 0; b < blocks; ++b) pairs.insert(pairs.end(), {b, b});
  const std::vector<const void*> source{from.data()};
  const std::vector<void*> target{to.data()};
  const DeviceBuffer<const void*> source_d(source, "source");
  const DeviceBuffer<void*> target_d(target, "target");
  const DeviceBuffer<std::int64_t> pairs_d(pairs, "pairs");
  const double bytes = 2.0 * static_cast<double>(blocks * block);
  const auto kernel = [&](int, Stream stream) {
    copy_blocks({source_d.data(), target_d.data(), 1, pairs_d.data(), blocks, block}, stream);
  };
  for (int i = 0; i < s.pick(100, 1); ++i) kernel(0, s.stream());            // clocks settle
  const Timing own = s.time(1, kernel);
  const Timing engine = s.time(1, [&](int, Stream stream) {
    swap_blocks({source.data(), target.data(), 1, pairs.data(), blocks, block}, stream);
  });
  if (own.seconds > 0) s.set_copy_rate(bytes / std::min(own.seconds, engine.seconds));
  s.add_memory_bound({.name = "copy, own kernel", .shape = by(blocks, block), .timing = own, .bytes = bytes});
  s.add_memory_bound({.name = "copy, cudaMemcpyAsync", .shape = by(blocks, block), .timing = engine, .bytes = bytes});
  // Blocks of 16 tokens in random places, as swapping and copy on write move them.
  const std::int64_t piece = s.pick(32768, 1024), count = blocks * block / piece;
  std::vector<std::int64_t> scattered;
  for (std::int64_t i = 0; i < count; ++i) scattered.insert(scattered.end(), {i * 7 % count, i * 11 % count});
  const DeviceBuffer<std::int64_t> scattered_d(scattered, "pairs");
  const Timing t = s.time(1, [&](int, Stream stream) {
    copy_blocks({source_d.data(), target_d.data(), 1, scattered_d.data(), count, piece}, stream);
  });
  s.add_memory_bound({.name = "copy of KV blocks", .shape = by(count, piece), .timing = t, .bytes = bytes});
}

void measure_operators(Session& s) {
  for (const std::int64_t rows : {64, 8192})
    s.group("rmsnorm", [&] { measure_rmsnorm(s, s.pick<std::int64_t>(rows, 3)); });
  for (const std::int64_t rows : {64, 4096})
    s.group("swiglu", [&] { measure_swiglu(s, s.pick<std::int64_t>(rows, 3)); });
  for (const std::int64_t tokens : {64, 8192})
    s.group("rope", [&] { measure_rope(s, s.pick<std::int64_t>(tokens, 20)); });
  s.group("append", [&] { measure_append(s, s.pick<std::int64_t>(16384, 70)); });
  for (const std::int64_t rows : {128, 1})
    s.group("sampling", [&] { measure_sampling(s, std::min<std::int64_t>(rows, s.pick<std::int64_t>(128, 2))); });
  s.group("seeded weights", [&] { measure_weights(s); });
}

}  // namespace orrery::ORRERY_GPU
