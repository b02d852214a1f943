/// KIVI (ICML'24): keys quantised per channel and values per token to 2 or 4 bits, in groups of 32 with a scale and a
/// zero of 16 bits each; the newest tokens stay as they are. 5 and 3 bits an element against bf16's 16.
///
///   kivi_append(KiviAppendArgs<float>{.k = k, .v = v, .sequence = s, .position = p, .kv = pool, .tokens = n});
///   kivi_decode(KiviDecodeArgs<float>{rows, pool});
///
/// Of a sequence of n tokens the first floor(n / R) R keys and the first n - R values are quantised, R = `residual`, a
/// multiple of 32: keys when R of them have come, values one at a time. A page holds 32 tokens. The quantiser's error
/// is at most half the group's scale (max - min) / (2^bits - 1): zero is rounded down and the scale up, so nothing is
/// cut off.
#pragma once

#include <span>

#include "kernels/attention_decode/attention_decode.hpp"

namespace orrery {

inline constexpr int kKiviGroup = 32;

template <class T>
struct KiviPool {
  std::uint8_t* k_codes = nullptr;         ///< (pages, kv_heads, head_dim, 32 bits / 8): a channel's 32 tokens together
  Half* k_scale = nullptr;                 ///< (pages, kv_heads, head_dim)
  Half* k_zero = nullptr;                  ///< the same
  std::uint8_t* v_codes = nullptr;         ///< (pages, kv_heads, 32, head_dim bits / 8)
  Half* v_scale = nullptr;                 ///< (pages, kv_heads, 32, head_dim / 32)
  Half* v_zero = nullptr;                  ///< the same
  T* k_recent = nullptr;                   ///< (sequences, residual, kv_heads, head_dim): token t at t % residual
  T* v_recent = nullptr;                   ///< the same
  const std::int32_t* table = nullptr;     ///< (sequences, max_pages)
  std::int32_t max_pages = 0;
  std::int32_t kv_heads = 1, head_dim = 64, bits = 4, residual = 128;

  std::int64_t page(std::int64_t sequence, std::int64_t token) const {
    return table[sequence * max_pages + token / kKiviGroup];
  }
  constexpr std::int64_t recent(std::int64_t sequence, std::int64_t token, std::int64_t head) const {
    return ((sequence * residual + token % residual) * kv_heads + head) * head_dim;
  }
};

template <class T>
struct KiviAppendArgs {
  const T* k = nullptr;                    ///< (tokens, kv_heads, head_dim), rotated, rows `stride` apart
  const T* v = nullptr;                    ///< the same
  const std::int32_t* sequence = nullptr;  ///< (tokens)
  const std::int32_t* position = nullptr;  ///< (tokens); those of a sequence come in order
  KiviPool<T> kv;                          ///< written
  std::int64_t tokens = 0;
  std::int64_t stride = 0;                 ///< 0 = dense
};
template <class T>
void kivi_append(const KiviAppendArgs<T>& args);

template <class T>
struct KiviDecodeArgs {
  DecodeRows<T> rows;
  KiviPool<T> kv;
};
template <class T>
void kivi_decode(const KiviDecodeArgs<T>& args);

/// One group of 32: codes[i] = round((x[i] - zero) / scale), in [0, 2^bits).
struct KiviGroup {
  Half scale, zero;
};
KiviGroup kivi_quantise(std::span<const float, kKiviGroup> x, int bits, std::uint8_t* codes);

}  // namespace orrery
