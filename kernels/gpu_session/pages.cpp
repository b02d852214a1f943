#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#include "kernels/gpu_session/session.hpp"
#include "kernels/virtual_kv/virtual_kv.hpp"
#if defined(ORRERY_GPU_CUDA)
#include "kernels/virtual_kv/device_pages.hpp"
#endif

namespace orrery::ORRERY_GPU {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Page groups behind the KV of a sequence: mapped, unmapped, mapped again.
void measure_mapping(Session& s) {
#if defined(ORRERY_GPU_CUDA)
  const MakePages make = device_pages;
#else
  const MakePages make = host_pages;
#endif
  const std::int32_t layers = s.pick(32, 2), blocks = s.pick(16, 3);
  VirtualKv pool({.layers = layers,
                  .slots = 1,
                  .max_tokens = 1024 * blocks,
                  .kv_heads = 8,
                  .head_dim = 128,
                  .element_bytes = 2,
                  .page_group_bytes = 2 << 20,
                  .page_groups = 2 * layers * blocks},
                 make);
  const int slot = pool.acquire(1);
  const double groups = 2.0 * layers * blocks;
  for (int round = 0; round < 2; ++round) {
    double start = now();
    if (!pool.ensure(slot, 1024 * blocks)) throw std::runtime_error("page groups could not be mapped");
    const double mapped = now() - start;
    pool.release(slot);
    start = now();
    pool.reclaim();
    const double unmapped = now() - start;
    pool.acquire(1);
    const std::string shape = "2 MiB, round " + std::to_string(round);
    s.add({.name = "map a page group", .shape = shape, .timing = {s.small() ? 0 : mapped / groups, 0}});
    s.add({.name = "unmap a page group", .shape = shape, .timing = {s.small() ? 0 : unmapped / groups, 0}});
  }
}

#if defined(ORRERY_GPU_CUDA)
struct Pinned {
  void* p = nullptr;
  explicit Pinned(std::size_t bytes) { check_cuda(cudaMallocHost(&p, bytes), "pinned memory"); }
  ~Pinned() { cudaFreeHost(p); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
};

/// Swapping: 256 MiB in pieces of KV blocks to pinned memory and back, by the copy engines and by the kernel.
void measure_swapping(Session& s) {
  const std::int64_t all = 256 << 20;
  Pinned host(static_cast<std::size_t>(all));
  const auto device = random_buffer(all / 2, 1);
  for (const std::int64_t piece : {std::int64_t{32} << 10, std::int64_t{2} << 20}) {
    for (const bool out : {true, false}) {
      const std::vector<const void*> source{out ? static_cast<const void*>(device.data()) : host.p};
      const std::vector<void*> target{out ? host.p : static_cast<void*>(device.data())};
      std::vector<std::int64_t> pairs;                           // every other block, so that none go together
      for (std::int64_t b = 0; b < all / piece; b += 2) pairs.insert(pairs.end(), {b, b});
      const auto count = static_cast<std::int64_t>(pairs.size() / 2);
      const DeviceBuffer<const void*> source_d(source, "source");
      const DeviceBuffer<void*> target_d(target, "target");
      const DeviceBuffer<std::int64_t> pairs_d(pairs, "pairs");
      const std::string shape =
          std::to_string(count) + " x " + std::to_string(piece) + (out ? " to the host" : " to the device");
      const double bytes = static_cast<double>(count * piece);
      // Not in a graph: thousands of copies are issued one by one when sequences are swapped, and that is part of it.
      const auto cuda_stream = static_cast<cudaStream_t>(s.stream());
      std::vector<double> seconds;
      for (int i = 0; i < 5; ++i) {
        check_cuda(cudaStreamSynchronize(cuda_stream), "waiting");
        const double start = now();
        swap_blocks({source.data(), target.data(), 1, pairs.data(), count, piece}, s.stream());
        check_cuda(cudaStreamSynchronize(cuda_stream), "waiting for copies");
        seconds.push_back(now() - start);
      }
      std::sort(seconds.begin(), seconds.end());
      s.add({.name = "swap, copy engines",
             .shape = shape,
             .timing = {seconds[2], seconds[3] - seconds[1]},
             .bytes = bytes});
      const Timing t = s.time(1, [&](int, Stream stream) {
        copy_blocks({source_d.data(), target_d.data(), 1, pairs_d.data(), count, piece}, stream);
      });
      s.add({.name = "swap, kernel", .shape = shape, .timing = t, .bytes = bytes, .baseline = "copy engines",
             .baseline_seconds = seconds[2]});
    }
  }
}
#endif

}  // namespace

void measure_pages(Session& s) {
  s.group("mapping", [&] { measure_mapping(s); });
#if defined(ORRERY_GPU_CUDA)
  s.group("swapping", [&] { measure_swapping(s); });
#endif
}

}  // namespace orrery::ORRERY_GPU
