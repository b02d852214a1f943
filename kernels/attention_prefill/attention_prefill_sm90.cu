#include "kernels/attention_prefill/attention_prefill_gpu.hpp"
#include "kernels/attention_prefill/prefill_warpgroups.cuh"
#include "kernels/device/buffer.hpp"

namespace orrery::ORRERY_GPU {
namespace {

template <int kHeadDim>
DEVICE_KERNEL(kHopperThreads, 1) hopper_kernel(DEVICE_PARAMETER HopperArgs h) {
  prefill_warpgroups<kHeadDim>(h);
}

template <int kHeadDim>
void launch_hopper(const HopperArgs& h, Stream stream) {
  const auto processors = static_cast<std::int64_t>(device_processors());
  const std::int64_t blocks = h.a.tile_count < processors ? h.a.tile_count : processors;
  launch(hopper_kernel<kHeadDim>, {.grid = {static_cast<unsigned>(blocks)}, .threads = kHopperThreads,
                                   .shared_bytes = HopperTile<kHeadDim>::kSharedBytes}, stream, h);
}

/// A pool of keys or values: (tokens, kv_heads, head_dim). How many tokens it has is not known here and not needed:
/// boxes lie in pages that the table names.
TensorMap pool_map(const PagedKv<Bf16>& kv, const Bf16* data, std::int32_t box_tokens) {
  const auto head = static_cast<std::uint64_t>(kv.head_dim), heads = static_cast<std::uint64_t>(kv.kv_heads);
  return make_tensor_map({.base = data, .size = {head, heads, 1u << 30}, .stride = {head * 2, head * heads * 2},
                          .box = {64, 1, static_cast<std::uint32_t>(box_tokens)}});
}

}  // namespace

bool prefill_warpgroups_can(const PrefillArgs<Bf16>& a) {
  const std::int32_t page = a.kv.page_tokens;
  return device_generation() / 10 == 9 && ((page % 8 == 0 && 128 % page == 0) || page % 128 == 0);
}

void attention_prefill_warpgroups(const PrefillArgs<Bf16>& a, std::int64_t query_rows, Stream stream) {
  const std::int32_t group = a.heads / a.kv.kv_heads, box = a.kv.page_tokens < 128 ? a.kv.page_tokens : 128;
  const auto head = static_cast<std::uint64_t>(a.kv.head_dim), heads = static_cast<std::uint64_t>(a.heads);
  const auto stride = a.q_stride ? static_cast<std::uint64_t>(a.q_stride) : head * heads;
  const HopperArgs h{
      .q = make_tensor_map({.base = a.q, .size = {head, heads, static_cast<std::uint64_t>(query_rows)},
                            .stride = {head * 2, stride * 2},
                            .box = {64, static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(128 / group)}}),
      .k = pool_map(a.kv, a.kv.k, box), .v = pool_map(a.kv, a.kv.v, box), .a = a,
      .page_shift = shift_of(a.kv.page_tokens), .box_tokens = box};
  if (a.kv.head_dim == 128) launch_hopper<128>(h, stream);
  else launch_hopper<64>(h, stream);
}

}  // namespace orrery::ORRERY_GPU
