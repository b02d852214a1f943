#include "kernels/attention_decode/merge_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kWarps = 4;

/// Weights of up to 32 parts, one a lane: exp(m - most), 0 for a part that saw no key.
DEVICE_FN float weight_of(float m, float l, float most) { return l > 0 ? fast_exp2((m - most) * kLog2E) : 0; }

/// One warp for each row and head. A lane holds kHeadDim / 32 neighbouring channels.
template <int kHeadDim>
DEVICE_KERNEL(kWarps * 32, 8) merge_kernel(MergeArgs a) {
  constexpr int kPerLane = kHeadDim / 32;
  const unsigned lane = lane_index(), sequence = block_index_y();
  const std::int32_t first_row =
      a.row_offset ? global_load(a.row_offset + sequence) : static_cast<std::int32_t>(sequence);
  const std::int32_t rows = a.row_offset ? global_load(a.row_offset + sequence + 1) - first_row : 1;
  const auto at = static_cast<std::int32_t>(block_index() * kWarps + warp_index());
  const std::int32_t row = at / a.heads, head = at % a.heads;
  if (row >= rows) return;
  const std::int32_t first = global_load(a.partials.offset + sequence);
  const std::int32_t splits = (global_load(a.partials.offset + sequence + 1) - first) / rows;
  if (splits == 1 && !a.unsplit_too) return;
  const auto part = [&](std::int32_t s) { return (std::int64_t{first} + s * rows + row) * a.heads + head; };

  float most = negative_infinity();
  for (auto s = static_cast<std::int32_t>(lane); s < splits; s += 32) {
    if (global_load(a.partials.l + part(s)) > 0) most = max_of(most, global_load(a.partials.m + part(s)));
  }
  for (unsigned mask = 16; mask > 0; mask /= 2) most = max_of(most, shuffle_xor(most, mask));

  float sum = 0, o[kPerLane] = {};
  for (std::int32_t base = 0; base < splits; base += 32) {
    const std::int32_t mine = base + static_cast<std::int32_t>(lane);
    float l = 0, w = 0;
    if (mine < splits) {
      l = global_load(a.partials.l + part(mine));
      w = weight_of(global_load(a.partials.m + part(mine)), l, most);
    }
    for (std::int32_t i = 0; i < 32 && base + i < splits; ++i) {
      const float weight = shuffle(w, static_cast<unsigned>(i)), mass = shuffle(l, static_cast<unsigned>(i));
      if (!(weight > 0)) continue;
      sum = fused(weight, mass, sum);
      const float* from = a.partials.o + part(base + i) * kHeadDim + lane * kPerLane;
      DEVICE_UNROLL
      for (int c = 0; c < kPerLane; c += 2) {
        const Vec2 pair = global_load(reinterpret_cast<const Vec2*>(from + c));
        o[c] = fused(weight, bits_to_float(pair.w[0]), o[c]);
        o[c + 1] = fused(weight, bits_to_float(pair.w[1]), o[c + 1]);
      }
    }
  }
  const float inverse = sum > 0 ? 1 / sum : 0;
  Bf16* to = a.out + ((std::int64_t{first_row} + row) * a.heads + head) * kHeadDim + lane * kPerLane;
  DEVICE_UNROLL
  for (int c = 0; c < kPerLane; c += 2) {
    global_store(reinterpret_cast<std::uint32_t*>(to + c), pack_bf16(o[c] * inverse, o[c + 1] * inverse));
  }
}

}  // namespace

void merge_parts(const MergeArgs& a, Stream stream) {
  const LaunchShape shape{.grid = {ceil_div(std::int64_t{a.most_rows} * a.heads, kWarps),
                                   static_cast<unsigned>(a.sequences)}, .threads = kWarps * 32};
  if (a.head_dim == 128) launch(merge_kernel<128>, shape, stream, a);
  else launch(merge_kernel<64>, shape, stream, a);
}

}  // namespace orrery::ORRERY_GPU
