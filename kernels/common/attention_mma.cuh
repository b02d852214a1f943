/// What the attention kernels on tensor cores (mma.m16n8k16) share: the layout of KV rows in shared memory, the places
/// of keys in a paged pool, and the online softmax on accumulator fragments.
///
/// A fragment holds two query rows a lane: row g = lane / 4 in numbers 0 and 1, row g + 8 in 2 and 3; columns are
/// 8 tile + lane % 4 * 2 and the next. Scores and maxima are in base 2, q k scale log2(e), so that weights are
/// exp2(score - m).
///
/// Products that are added to something are written as fused(), so that no compiler has a choice, and the same row has
/// the same bits in every kernel.
///
/// Rows of KV lie 2 head_dim bytes apart, their chunks of 16 bytes exchanged by the row's number (exclusive or), so
/// that eight rows of ldmatrix, and the chunks of a row when it is copied, fall into different banks.
#pragma once

#include "kernels/common/paged_kv.hpp"
#include "kernels/device/device.hpp"
#include "sim/base/launch_plan.hpp"

namespace orrery::ORRERY_GPU {

inline constexpr int kPlanBlock = 64;        ///< tokens of a KV block of the launch plan

/// Byte offset of chunk `chunk` (16 bytes) of row `row` in a tile of rows of kHeadDim 16-bit numbers.
template <int kHeadDim>
DEVICE_FN std::uint32_t chunk_offset(std::uint32_t row, std::uint32_t chunk) {
  return row * (kHeadDim * 2) + ((chunk ^ (row & 7)) << 4);
}

/// The keys and values of one sequence and KV head in a paged pool. Refers to the kernel's parameters, which cost no
/// registers.
template <class T>
struct SequenceKv {
  const PagedKv<T>& kv;
  std::int32_t page_shift;                   ///< log2 of page_tokens, or -1 if it is no power of two
  std::int32_t sequence, head;
  std::int32_t end;                          ///< tokens of the sequence that may be read

  /// Row of the pool in units of all heads; -1 past the end.
  DEVICE_FN std::int32_t slot(std::int32_t token) const {
    if (token >= end) return -1;
    const std::int32_t page = page_shift >= 0 ? token >> page_shift : token / kv.page_tokens;
    const std::int32_t at = global_load(kv.table + std::int64_t{sequence} * kv.max_pages + page);
    return at * kv.page_tokens + (token - page * kv.page_tokens);
  }
  /// Of the head's first number in row `slot` (any valid place for -1).
  DEVICE_FN std::int64_t element(std::int32_t slot) const {
    return (std::int64_t{slot < 0 ? 0 : slot} * kv.kv_heads + head) * kv.head_dim;
  }
};

/// log2(n), or -1 if n is no power of two.
inline std::int32_t shift_of(std::int32_t n) {
  std::int32_t shift = 0;
  while ((1 << shift) < n) ++shift;
  return (1 << shift) == n ? shift : -1;
}

/// Maximum and sum of the weights of a lane's two rows. The sum is the lane's own share until reduce_sums().
struct SoftmaxRows {
  float m[2], l[2];
  DEVICE_FN void clear(float most) {
    m[0] = m[1] = most;
    l[0] = l[1] = 0;
  }
};

/// Over the four lanes that share a row.
DEVICE_FN float quad_max(float x) {
  x = max_of(x, shuffle_xor(x, 1));
  return max_of(x, shuffle_xor(x, 2));
}
DEVICE_FN float quad_sum(float x) {
  x += shuffle_xor(x, 1);
  return x + shuffle_xor(x, 2);
}
DEVICE_FN void reduce_sums(SoftmaxRows& rows) {
  rows.l[0] = quad_sum(rows.l[0]);
  rows.l[1] = quad_sum(rows.l[1]);
}

/// s: q k of kTiles * 8 keys, -inf where a key is not seen; becomes the weights. scale > 0 makes them scores. `shrink`
/// is what sums so far must be multiplied with, as a row's maximum may have grown; those in `rows` are.
template <int kTiles>
DEVICE_FN void softmax_weights(float (&s)[kTiles][4], float scale, SoftmaxRows& rows, float (&shrink)[2]) {
  float most[2] = {s[0][0], s[0][2]};
  DEVICE_UNROLL
  for (int j = 0; j < kTiles; ++j) {
    most[0] = max_of(most[0], max_of(s[j][0], s[j][1]));
    most[1] = max_of(most[1], max_of(s[j][2], s[j][3]));
  }
  most[0] = max_of(rows.m[0], quad_max(most[0]) * scale);
  most[1] = max_of(rows.m[1], quad_max(most[1]) * scale);
  float base[2];                             // what is subtracted: not -inf, where a row has seen nothing yet
  base[0] = most[0] == negative_infinity() ? 0 : most[0];
  base[1] = most[1] == negative_infinity() ? 0 : most[1];
  DEVICE_UNROLL
  for (int i = 0; i < 2; ++i) {
    shrink[i] = fast_exp2(rows.m[i] - base[i]);
    rows.m[i] = most[i];
  }
  float sum[2] = {0, 0};
  DEVICE_UNROLL
  for (int j = 0; j < kTiles; ++j) {
    s[j][0] = fast_exp2(fused(s[j][0], scale, -base[0]));
    s[j][1] = fast_exp2(fused(s[j][1], scale, -base[0]));
    s[j][2] = fast_exp2(fused(s[j][2], scale, -base[1]));
    s[j][3] = fast_exp2(fused(s[j][3], scale, -base[1]));
    sum[0] += s[j][0] + s[j][1];
    sum[1] += s[j][2] + s[j][3];
  }
  rows.l[0] = fused(rows.l[0], shrink[0], sum[0]);
  rows.l[1] = fused(rows.l[1], shrink[1], sum[1]);
}

/// o times shrink, if any of the warp's rows needs it.
template <int kOut>
DEVICE_FN void rescale(float (&o)[kOut][4], const float (&shrink)[2]) {
  if (!any(shrink[0] < 1 || shrink[1] < 1)) return;
  DEVICE_UNROLL
  for (int j = 0; j < kOut; ++j) {
    o[j][0] *= shrink[0];
    o[j][1] *= shrink[0];
    o[j][2] *= shrink[1];
    o[j][3] *= shrink[1];
  }
}

template <int kTiles, int kOut>
DEVICE_FN void softmax_step(float (&s)[kTiles][4], float scale, SoftmaxRows& rows, float (&o)[kOut][4]) {
  float shrink[2];
  softmax_weights(s, scale, rows, shrink);
  rescale(o, shrink);
}

/// The same with the maximum fixed beforehand (rows.m): nothing is rescaled. outside[i] is set if a score of the row
/// leaves [m + low, m + high].
template <int kTiles>
DEVICE_FN void softmax_step_unified(float (&s)[kTiles][4], float scale, SoftmaxRows& rows, float low, float high,
                                    bool (&outside)[2]) {
  DEVICE_UNROLL
  for (int j = 0; j < kTiles; ++j) {
    DEVICE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float d = fused(s[j][i], scale, -rows.m[i / 2]);
      outside[i / 2] |= !(d >= low && d <= high) && s[j][i] != negative_infinity();
      s[j][i] = fast_exp2(d);
      rows.l[i / 2] += s[j][i];
    }
  }
}

}  // namespace orrery::ORRERY_GPU
