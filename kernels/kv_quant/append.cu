#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/kv_quant/append_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr int kThreads = 128;

DEVICE_FN Vec2 fp8_of(const Bf16* p, float scale) {
  float x[8];
  unpack(load8(p), x);
  Vec2 out{};
  DEVICE_UNROLL
  for (int i = 0; i < 4; ++i) out.w[i / 2] |= pack_fp8(x[2 * i] / scale, x[2 * i + 1] / scale) << (16 * (i % 2));
  return out;
}

/// One block a token, eight channels a thread.
DEVICE_KERNEL(kThreads, 8) fp8_append_kernel(Fp8AppendArgs<Bf16> a) {
  const std::int64_t token = block_index();
  const int d = a.kv.head_dim, position = global_load(a.position + token);
  const std::int64_t page = global_load(a.kv.table + std::int64_t{global_load(a.sequence + token)} * a.kv.max_pages +
                                        position / a.kv.page_tokens);
  const std::int64_t place = (page * a.kv.page_tokens + position % a.kv.page_tokens) * a.kv.kv_heads * d;
  for (int c = static_cast<int>(thread_index()) * 8; c < a.kv.kv_heads * d; c += kThreads * 8) {
    const std::int64_t from = token * a.stride + c;
    global_store(reinterpret_cast<Vec2*>(a.kv.k + place + c), fp8_of(a.k + from, global_load(a.k_scale + c / d)));
    global_store(reinterpret_cast<Vec2*>(a.kv.v + place + c), fp8_of(a.v + from, global_load(a.v_scale + c / d)));
  }
}

/// A group's scale and zero from its least and largest, and the code of one of it, as kivi_quantise computes them.
struct Quantiser {
  Half scale, zero;
  float zero_value, inverse;
  int top;

  DEVICE_FN Quantiser(float least, float most, int bits) : top((1 << bits) - 1) {
    zero = half_at_most(least);
    zero_value = orrery::from(zero);
    scale = half_at_least((most - zero_value) / static_cast<float>(top));
    const float step = orrery::from(scale);
    inverse = step > 0 ? 1 / step : 0.0f;
  }
  DEVICE_FN std::uint32_t code(float x) const {
    const float exact = (x - zero_value) * inverse;                     // not negative
    int n = static_cast<int>(exact);
    n += exact - static_cast<float>(n) >= 0.5f;
    return static_cast<std::uint32_t>(n < top ? n : top);
  }
};

/// Where a chunk lies: tokens [context, end) of a sequence are new.
struct Chunk {
  std::int64_t row, context, end;

  DEVICE_FN Chunk(const KiviChunks& a, unsigned sequence) {
    row = global_load(a.offset + sequence);
    context = global_load(a.context + sequence);
    end = context + global_load(a.offset + sequence + 1) - row;
  }
  /// Of a token that is new or among the recent ones: where its keys (or values) begin.
  DEVICE_FN const Bf16* at(const KiviChunks& a, const Bf16* fresh, const Bf16* recent, unsigned sequence,
                           std::int64_t token) const {
    return token >= context ? fresh + (row + token - context) * a.stride : recent + a.kv.recent(sequence, token, 0);
  }
};

DEVICE_FN std::int64_t page_of(const KiviChunks& a, unsigned sequence, std::int64_t token) {
  return global_load(a.kv.table + std::int64_t{sequence} * a.kv.max_pages + token / kKiviGroup);
}

/// Block (i-th token that leaves, sequence): four threads a group of 32 channels.
DEVICE_KERNEL(kThreads, 8) kivi_values_kernel(KiviChunks a) {
  const unsigned sequence = block_index_y();
  const Chunk chunk(a, sequence);
  const std::int64_t old = chunk.context - a.kv.residual;
  const std::int64_t token = (old > 0 ? old : 0) + block_index();
  if (token >= chunk.end - a.kv.residual) return;
  const Bf16* values = chunk.at(a, a.v, a.kv.v_recent, sequence, token);
  const std::int64_t page = page_of(a, sequence, token);
  const int d = a.kv.head_dim, all = a.kv.kv_heads * d;
  for (int base = 0; base < all; base += kThreads * 8) {                // whole warps
    const int c = base + static_cast<int>(thread_index()) * 8;
    float x[8] = {};
    if (c < all) unpack(load8(values + c), x);
    float least = x[0], most = x[0];
    DEVICE_UNROLL
    for (int i = 1; i < 8; ++i) {
      least = x[i] < least ? x[i] : least;
      most = max_of(most, x[i]);
    }
    for (unsigned mask = 1; mask <= 2; mask *= 2) {
      const float other = shuffle_xor(least, mask);
      least = other < least ? other : least;
      most = max_of(most, shuffle_xor(most, mask));
    }
    if (c >= all) continue;
    const Quantiser q(least, most, a.kv.bits);
    std::uint32_t codes = 0;
    DEVICE_UNROLL
    for (int i = 0; i < 8; ++i) codes |= q.code(x[i]) << (i * a.kv.bits);
    const std::int64_t row = (page * a.kv.kv_heads + c / d) * kKiviGroup + token % kKiviGroup;
    std::uint8_t* const to = a.kv.v_codes + (row * d + c % d) * a.kv.bits / 8;
    if (a.kv.bits == 4) global_store(reinterpret_cast<std::uint32_t*>(to), codes);
    else global_store(reinterpret_cast<std::uint16_t*>(to), static_cast<std::uint16_t>(codes));
    if (c % kKiviGroup == 0) {
      const std::int64_t group = row * (d / kKiviGroup) + c % d / kKiviGroup;
      global_store(a.kv.v_scale + group, q.scale);
      global_store(a.kv.v_zero + group, q.zero);
    }
  }
}

/// Block (i-th group of 32 tokens whose keys are complete, sequence): one channel a thread.
DEVICE_KERNEL(kThreads, 4) kivi_keys_kernel(KiviChunks a) {
  const unsigned sequence = block_index_y();
  const Chunk chunk(a, sequence);
  const std::int64_t token =
      chunk.context / a.kv.residual * a.kv.residual + std::int64_t{block_index()} * kKiviGroup;
  if (token >= chunk.end / a.kv.residual * a.kv.residual) return;
  const std::int64_t page = page_of(a, sequence, token);
  const int all = a.kv.kv_heads * a.kv.head_dim;
  for (int c = static_cast<int>(thread_index()); c < all; c += kThreads) {
    const auto key = [&](int i) {
      return orrery::from(global_load(chunk.at(a, a.k, a.kv.k_recent, sequence, token + i) + c));
    };
    float least = key(0), most = least;
    DEVICE_NO_UNROLL
    for (int base = 0; base < kKiviGroup; base += 8) {
      DEVICE_UNROLL
      for (int i = 0; i < 8; ++i) {
        const float x = key(base + i);
        least = x < least ? x : least;
        most = max_of(most, x);
      }
    }
    const Quantiser q(least, most, a.kv.bits);
    const std::int64_t at = page * all + c;
    DEVICE_NO_UNROLL
    for (int base = 0; base < kKiviGroup; base += 8) {                  // once more, from the cache: 8 codes a store
      std::uint32_t codes = 0;
      DEVICE_UNROLL
      for (int i = 0; i < 8; ++i) codes |= q.code(key(base + i)) << (i * a.kv.bits);
      std::uint8_t* const to = a.kv.k_codes + (at * kKiviGroup + base) * a.kv.bits / 8;
      if (a.kv.bits == 4) global_store(reinterpret_cast<std::uint32_t*>(to), codes);
      else global_store(reinterpret_cast<std::uint16_t*>(to), static_cast<std::uint16_t>(codes));
    }
    global_store(a.kv.k_scale + at, q.scale);
    global_store(a.kv.k_zero + at, q.zero);
  }
}

/// Block (new token, sequence): to its place among the recent ones, if it stays there.
DEVICE_KERNEL(kThreads, 8) kivi_recent_kernel(KiviChunks a) {
  const unsigned sequence = block_index_y();
  const Chunk chunk(a, sequence);
  const std::int64_t token = chunk.context + block_index();
  if (token >= chunk.end || token < chunk.end - a.kv.residual) return;
  const std::int64_t from = (chunk.row + token - chunk.context) * a.stride, to = a.kv.recent(sequence, token, 0);
  for (int c = static_cast<int>(thread_index()) * 8; c < a.kv.kv_heads * a.kv.head_dim; c += kThreads * 8) {
    store8(a.kv.k_recent + to + c, load8(a.k + from + c));
    store8(a.kv.v_recent + to + c, load8(a.v + from + c));
  }
}

}  // namespace

void fp8_append(const Fp8AppendArgs<Bf16>& args, Stream stream) {
  Fp8AppendArgs<Bf16> a = args;
  if (!a.stride) a.stride = std::int64_t{a.kv.kv_heads} * a.kv.head_dim;
  require(a.kv.head_dim % 8 == 0 && a.stride % 8 == 0, "fp8_append: head_dim, stride: expected multiples of 8");
  launch(fp8_append_kernel, {.grid = {static_cast<unsigned>(a.tokens)}, .threads = kThreads}, stream, a);
}

void kivi_append(const KiviChunks& args, Stream stream) {
  KiviChunks a = args;
  if (!a.stride) a.stride = std::int64_t{a.kv.kv_heads} * a.kv.head_dim;
  require(a.kv.bits == 2 || a.kv.bits == 4, "kivi_append: bits: expected 2 or 4");
  require(a.kv.head_dim % 32 == 0 && a.stride % 8 == 0,
          "kivi_append: head_dim: expected a multiple of 32; stride: of 8");
  require(a.kv.residual > 0 && a.kv.residual % kKiviGroup == 0, "kivi_append: residual: expected a multiple of 32");
  const auto sequences = static_cast<unsigned>(a.sequences), tokens = static_cast<unsigned>(a.most_tokens);
  launch(kivi_values_kernel, {.grid = {tokens, sequences}, .threads = kThreads}, stream, a);
  launch(kivi_keys_kernel,
         {.grid = {ceil_div(a.most_tokens + a.kv.residual, kKiviGroup), sequences}, .threads = kThreads}, stream, a);
  launch(kivi_recent_kernel, {.grid = {tokens, sequences}, .threads = kThreads}, stream, a);
}

}  // namespace orrery::ORRERY_GPU
