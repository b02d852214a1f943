#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/gather/gather_rows_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kThreads = 128;

/// One block a row.
DEVICE_KERNEL(kThreads, 8) gather_kernel(GatherArgs<Bf16> a) {
  const std::int64_t row = block_index(), from = global_load(a.index + row);
  for (std::int64_t c = 8 * thread_index(); c < a.dim; c += 8 * kThreads)
    store8(a.out + row * a.dim + c, load8(a.from + from * a.dim + c));
}

}  // namespace

void gather_rows(const GatherArgs<Bf16>& a, Stream stream) {
  require(a.dim > 0 && a.dim % 8 == 0, "gather_rows: dim: expected a multiple of 8");
  launch(gather_kernel, {.grid = {static_cast<unsigned>(a.rows)}, .threads = kThreads}, stream, a);
}

}  // namespace orrery::ORRERY_GPU
