#include "kernels/attention_prefill/attention_prefill_gpu.hpp"

#include "kernels/attention_prefill/prefill_tile.cuh"

namespace orrery::ORRERY_GPU {
namespace {

template <int kHeadDim>
DEVICE_KERNEL(kPrefillThreads, 2) prefill_kernel(DEVICE_PARAMETER PrefillArgs<Bf16> a, std::int32_t page_shift) {
  prefill_tile<kHeadDim>(a, a.tiles + block_index(), page_shift);
}

}  // namespace

void attention_prefill(const PrefillArgs<Bf16>& a, Stream stream) {
  LaunchShape shape{.grid = {static_cast<unsigned>(a.tile_count)}, .threads = kPrefillThreads};
  const std::int32_t shift = shift_of(a.kv.page_tokens);
  if (a.kv.head_dim == 128) {
    shape.shared_bytes = prefill_shared_bytes<128>();
    launch(prefill_kernel<128>, shape, stream, a, shift);
  } else {
    shape.shared_bytes = prefill_shared_bytes<64>();
    launch(prefill_kernel<64>, shape, stream, a, shift);
  }
}

}  // namespace orrery::ORRERY_GPU
