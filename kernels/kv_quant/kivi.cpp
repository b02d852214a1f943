#include "kernels/kv_quant/kivi.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/attention_decode/tile.hpp"

namespace orrery {
namespace {

/// Code i of packed codes, the first in the low bits.
KERNEL_INLINE int code_at(const std::uint8_t* codes, std::int64_t i, int bits) {
  const std::int64_t bit = i * bits;
  return codes[bit / 8] >> (bit % 8) & ((1 << bits) - 1);
}

template <class T>
KiviGroup pack_group(const T* x, std::int64_t stride, int bits, std::uint8_t* codes) {
  float wide[kKiviGroup];
  for (int i = 0; i < kKiviGroup; ++i) wide[i] = static_cast<float>(from(x[i * stride]));
  return kivi_quantise(wide, bits, codes);
}

/// The 32 keys from `token` on, channel by channel.
template <class T>
void quantise_keys(const KiviPool<T>& kv, std::int64_t sequence, std::int64_t token) {
  const std::int64_t bytes = kKiviGroup * kv.bits / 8, page = kv.page(sequence, token);
  for (std::int64_t h = 0; h < kv.kv_heads; ++h) {
    for (std::int64_t c = 0; c < kv.head_dim; ++c) {
      const std::int64_t at = (page * kv.kv_heads + h) * kv.head_dim + c;
      const KiviGroup g =
          pack_group(kv.k_recent + kv.recent(sequence, token, h) + c,
                     static_cast<std::int64_t>(kv.kv_heads) * kv.head_dim, kv.bits, kv.k_codes + at * bytes);
      kv.k_scale[at] = g.scale;
      kv.k_zero[at] = g.zero;
    }
  }
}

/// The value of one token, 32 channels at a time.
template <class T>
void quantise_value(const KiviPool<T>& kv, std::int64_t sequence, std::int64_t token) {
  const std::int64_t groups = kv.head_dim / kKiviGroup, bytes = kKiviGroup * kv.bits / 8,
                     page = kv.page(sequence, token);
  for (std::int64_t h = 0; h < kv.kv_heads; ++h) {
    const std::int64_t row = (page * kv.kv_heads + h) * kKiviGroup + token % kKiviGroup;
    for (std::int64_t g = 0; g < groups; ++g) {
      const KiviGroup q = pack_group(kv.v_recent + kv.recent(sequence, token, h) + g * kKiviGroup, 1, kv.bits,
                                     kv.v_codes + (row * groups + g) * bytes);
      kv.v_scale[row * groups + g] = q.scale;
      kv.v_zero[row * groups + g] = q.zero;
    }
  }
}

template <class T>
struct KiviSource {
  const KiviPool<T>& kv;
  std::int32_t sequence;
  std::int64_t length;

  template <class A>
  void load(std::int64_t first, int n, std::int64_t head, KvBlock<A>& block) const {
    const std::int64_t old_keys = length / kv.residual * kv.residual, old_values = length - kv.residual;
    for (int j = 0; j < n; ++j) {
      const std::int64_t token = first + j;
      block.k[j] = block.wide[0][j];
      block.v[j] = block.wide[1][j];
      if (token < old_keys) {
        key<A>(token, head, block.wide[0][j]);
      } else {
        widen(kv.k_recent + kv.recent(sequence, token, head), block.wide[0][j]);
      }
      if (token < old_values) {
        value<A>(token, head, block.wide[1][j]);
      } else {
        widen(kv.v_recent + kv.recent(sequence, token, head), block.wide[1][j]);
      }
    }
  }

  template <class A>
  void widen(const T* x, A* out) const {
    for (int c = 0; c < kv.head_dim; ++c) out[c] = from(x[c]);
  }
  template <class A>
  void key(std::int64_t token, std::int64_t head, A* out) const {
    const std::int64_t bytes = kKiviGroup * kv.bits / 8,
                       row = (kv.page(sequence, token) * kv.kv_heads + head) * kv.head_dim;
    for (int c = 0; c < kv.head_dim; ++c) {
      const int code = code_at(kv.k_codes + (row + c) * bytes, token % kKiviGroup, kv.bits);
      out[c] =
          static_cast<A>(from(kv.k_zero[row + c])) + static_cast<A>(from(kv.k_scale[row + c])) * static_cast<A>(code);
    }
  }
  template <class A>
  void value(std::int64_t token, std::int64_t head, A* out) const {
    const std::int64_t groups = kv.head_dim / kKiviGroup, bytes = static_cast<std::int64_t>(kv.head_dim) * kv.bits / 8;
    const std::int64_t row = (kv.page(sequence, token) * kv.kv_heads + head) * kKiviGroup + token % kKiviGroup;
    for (int c = 0; c < kv.head_dim; ++c) {
      const std::int64_t g = row * groups + c / kKiviGroup;
      const int code = code_at(kv.v_codes + row * bytes, c, kv.bits);
      out[c] = static_cast<A>(from(kv.v_zero[g])) + static_cast<A>(from(kv.v_scale[g])) * static_cast<A>(code);
    }
  }
};

}  // namespace

KiviGroup kivi_quantise(std::span<const float, kKiviGroup> x, int bits, std::uint8_t* codes) {
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  const int top = (1 << bits) - 1;
  const Half zero = half_at_most(*least);
  const Half scale = half_at_least((*most - from(zero)) / static_cast<float>(top));
  const float inverse = from(scale) > 0 ? 1 / from(scale) : 0.0f;
  std::fill_n(codes, kKiviGroup * bits / 8, std::uint8_t{0});
  for (int i = 0; i < kKiviGroup; ++i) {
    const int code = std::clamp(static_cast<int>(std::lround((x[i] - from(zero)) * inverse)), 0, top);
    codes[i * bits / 8] = static_cast<std::uint8_t>(codes[i * bits / 8] | code << (i * bits % 8));
  }
  return {scale, zero};
}

template <class T>
void kivi_append(const KiviAppendArgs<T>& a) {
  const KiviPool<T>& kv = a.kv;
  const std::int64_t stride = a.stride ? a.stride : static_cast<std::int64_t>(kv.kv_heads) * kv.head_dim;
  for (std::int64_t t = 0; t < a.tokens; ++t) {
    const std::int64_t sequence = a.sequence[t], position = a.position[t];
    if (position >= kv.residual) quantise_value(kv, sequence, position - kv.residual);   // its place is needed
    for (std::int64_t h = 0; h < kv.kv_heads; ++h) {
      const std::int64_t at = kv.recent(sequence, position, h);
      std::copy_n(a.k + t * stride + h * kv.head_dim, kv.head_dim, kv.k_recent + at);
      std::copy_n(a.v + t * stride + h * kv.head_dim, kv.head_dim, kv.v_recent + at);
    }
    if ((position + 1) % kv.residual == 0) {
      for (std::int64_t first = position + 1 - kv.residual; first <= position; first += kKiviGroup) {
        quantise_keys(kv, sequence, first);
      }
    }
  }
}

template <class T>
void kivi_decode(const KiviDecodeArgs<T>& a) {
  decode_tiles(a.rows, [&](std::int32_t sequence) { return KiviSource<T>{a.kv, sequence, a.rows.kv_len[sequence]}; });
  merge_partials(a.rows);
}

KERNEL_INSTANTIATE(kivi_append, KiviAppendArgs)
KERNEL_INSTANTIATE(kivi_decode, KiviDecodeArgs)

}  // namespace orrery
