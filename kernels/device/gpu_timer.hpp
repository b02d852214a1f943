/// Times of launches on a GPU, as the benchmarks and the calibration take them: a CUDA graph of launches that rotate
/// over copies of their data, three times the second-level cache in all, as a model that goes through its layers meets
/// it; warmed up until clocks have settled; the median of nine samples and the distance between their quartiles.
///
///   GpuTimer timer;
///   GpuTime t = timer.time(timer.copies(bytes), [&](int i, Stream stream) { attention_decode(args[i], stream); });
///
/// Host code (a C++ compiler with ORRERY_GPU_CUDA). Throws CudaError.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/device/buffer.hpp"
#include "sim/base/rng.hpp"

namespace orrery::gpu_cuda {

struct GpuTime {
  double seconds = 0;                        ///< of one launch, median
  double spread = 0;                         ///< quartile distance / median
};

class GpuTimer {
 public:
  GpuTimer() {
    check_cuda(cudaStreamCreate(&stream_), "a stream");
    check_cuda(cudaEventCreate(&begin_), "an event");
    check_cuda(cudaEventCreate(&end_), "an event");
    int device = 0;
    check_cuda(cudaGetDevice(&device), "the current device");
    check_cuda(cudaDeviceGetAttribute(&cache_bytes_, cudaDevAttrL2CacheSize, device), "size of the cache");
  }
  ~GpuTimer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(stream_);
  }
  GpuTimer(const GpuTimer&) = delete;
  GpuTimer& operator=(const GpuTimer&) = delete;

  /// Copies of data of this size that outgrow the cache three times.
  int copies(std::int64_t bytes) const {
    const std::int64_t wanted = 3 * std::int64_t{cache_bytes_} / std::max<std::int64_t>(1, bytes) + 1;
    return static_cast<int>(std::min<std::int64_t>(wanted, 64));
  }

  template <class Launch>
  GpuTime time(int copies, const Launch& launch) {
    launch(0, stream_);                      // outside the graph first: modules are loaded, errors show
    check_cuda(cudaStreamSynchronize(stream_), "a launch to be timed");
    const int launches = std::max(copies, 8);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t run = nullptr;
    check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "recording of a graph");
    for (int i = 0; i < launches; ++i) launch(i % copies, stream_);
    check_cuda(cudaStreamEndCapture(stream_, &graph), "recording of a graph");
    check_cuda(cudaGraphInstantiate(&run, graph, 0), "a graph");
    for (double warm = 0; warm < kWarmUpSeconds;) warm += sample(run);
    std::vector<double> samples;
    for (int i = 0; i < 9; ++i) samples.push_back(sample(run) / launches);
    check_cuda(cudaGraphExecDestroy(run), "end of a graph");
    check_cuda(cudaGraphDestroy(graph), "end of a graph");
    std::sort(samples.begin(), samples.end());
    return {samples[4], (samples[6] - samples[2]) / samples[4]};
  }

 private:
  static constexpr double kWarmUpSeconds = 0.2;

  double sample(cudaGraphExec_t run) {
    float milliseconds = 0;
    check_cuda(cudaEventRecord(begin_, stream_), "an event");
    check_cuda(cudaGraphLaunch(run, stream_), "launch of a graph");
    check_cuda(cudaEventRecord(end_, stream_), "an event");
    check_cuda(cudaEventSynchronize(end_), "a timed graph");
    check_cuda(cudaEventElapsedTime(&milliseconds, begin_, end_), "a time");
    return 1e-3 * static_cast<double>(milliseconds);
  }

  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  int cache_bytes_ = 0;
};

/// n random bf16 in [-1/2, 1/2): a million different ones, again and again.
inline DeviceBuffer<Bf16> random_on_device(std::size_t n, std::uint64_t salt, const char* name) {
  Rng rng(1, Purpose::kWeights, salt);
  std::vector<Bf16> some(std::min<std::size_t>(n, 1 << 20));
  for (Bf16& x : some) x = to<Bf16>(static_cast<float>(rng.uniform() - 0.5));
  DeviceBuffer<Bf16> all(n, name);
  device_upload(all.data(), some.data(), some.size() * sizeof(Bf16));
  for (std::size_t have = some.size(); have < n; have *= 2) {
    check_cuda(cudaMemcpy(all.data() + have, all.data(), std::min(have, n - have) * sizeof(Bf16),
                          cudaMemcpyDeviceToDevice), "copy on the device");
  }
  return all;
}

}  // namespace orrery::gpu_cuda
