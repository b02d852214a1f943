#include <cstring>

#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kEach = 4;                                 ///< vectors of a thread
constexpr std::int64_t kPiece = 16 * kThreads * kEach;   ///< bytes of a thread block

/// Grid: pair, tensor, piece.
DEVICE_KERNEL(kThreads, 4) copy_kernel(CopyBlocksArgs a) {
  const std::int64_t pair = block_index();
  const unsigned tensor = block_index_y();
  const std::int64_t first = std::int64_t{block_index_z()} * kPiece + 16 * thread_index();
  const auto* from = static_cast<const unsigned char*>(global_load(a.source + tensor)) +
                     global_load(a.pairs + 2 * pair) * a.block_bytes;
  auto* to = static_cast<unsigned char*>(global_load(a.target + tensor)) +
             global_load(a.pairs + 2 * pair + 1) * a.block_bytes;
  Vec4 held[kEach] = {};
  DEVICE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t at = first + i * std::int64_t{16 * kThreads};
    if (at < a.block_bytes) held[i] = global_load_once(reinterpret_cast<const Vec4*>(from + at));
  }
  DEVICE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t at = first + i * std::int64_t{16 * kThreads};
    if (at < a.block_bytes) global_store(reinterpret_cast<Vec4*>(to + at), held[i]);
  }
}

void copy_bytes(void* to, const void* from, std::int64_t bytes, Stream stream) {
#if defined(__CUDACC__)
  check_cuda(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault,
                             static_cast<cudaStream_t>(stream)), "copy of KV blocks");
#else
  static_cast<void>(stream);
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
#endif
}

}  // namespace

void copy_blocks(const CopyBlocksArgs& a, Stream stream) {
  require(a.block_bytes > 0 && a.block_bytes % 16 == 0, "copy_blocks: block_bytes: expected a multiple of 16");
  launch(copy_kernel, {.grid = {static_cast<unsigned>(a.count), static_cast<unsigned>(a.tensors),
                                ceil_div(a.block_bytes, kPiece)}, .threads = kThreads}, stream, a);
}

void swap_blocks(const CopyBlocksArgs& a, Stream stream) {
  for (std::int64_t first = 0, next = 0; first < a.count; first = next) {
    const std::int64_t *begin = a.pairs + 2 * first, *end = begin;
    for (next = first; next < a.count && end[0] - begin[0] == next - first && end[1] - begin[1] == next - first; ++next)
      end += 2;
    for (std::int32_t t = 0; t < a.tensors; ++t) {
      copy_bytes(static_cast<unsigned char*>(a.target[t]) + begin[1] * a.block_bytes,
                 static_cast<const unsigned char*>(a.source[t]) + begin[0] * a.block_bytes,
                 (next - first) * a.block_bytes, stream);
    }
  }
}

}  // namespace orrery::ORRERY_GPU
