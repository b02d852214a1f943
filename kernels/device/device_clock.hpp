/// Times of launches by the device's own clock: recorded as one graph, so that the host's part does not count, between
/// two events. Without a GPU the host's CPU time of running them, which means nothing.
///
///   DeviceClock clock(stream);
///   double s = clock.seconds(20, [&](std::int64_t i) { kernel(args[i], stream.get()); });     // of all twenty
///
/// A single launch is timed as it is. Throws CudaError.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>

#include "kernels/device/stream.hpp"

namespace orrery::ORRERY_GPU {

#if defined(__CUDACC__) || defined(ORRERY_GPU_CUDA)
class DeviceClock {
 public:
  explicit DeviceClock(DeviceStream& stream) : stream_(stream) {
    check_cuda(cudaEventCreate(&begin_), "an event");
    check_cuda(cudaEventCreate(&end_), "an event");
  }
  ~DeviceClock() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  DeviceClock(const DeviceClock&) = delete;
  DeviceClock& operator=(const DeviceClock&) = delete;

  double seconds(std::int64_t launches, const std::function<void(std::int64_t)>& launch) {
    if (launches == 1) return between([&] { launch(0); });
    const DeviceGraph graph(stream_, [&] {
      for (std::int64_t i = 0; i < launches; ++i) launch(i);
    });
    return between([&] { graph.launch(stream_); });
  }

 private:
  double between(const std::function<void()>& work) {
    const auto s = static_cast<cudaStream_t>(stream_.get());
    float milliseconds = 0;
    check_cuda(cudaEventRecord(begin_, s), "an event");
    work();
    check_cuda(cudaEventRecord(end_, s), "an event");
    check_cuda(cudaEventSynchronize(end_), "timed launches");
    check_cuda(cudaEventElapsedTime(&milliseconds, begin_, end_), "a time");
    return 1e-3 * static_cast<double>(milliseconds);
  }

  DeviceStream& stream_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};
#else
class DeviceClock {
 public:
  explicit DeviceClock(DeviceStream&) {}
  double seconds(std::int64_t launches, const std::function<void(std::int64_t)>& launch) {
    const auto now = [] {
      timespec t{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
      return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    };
    const double begin = now();
    for (std::int64_t i = 0; i < launches; ++i) launch(i);
    return now() - begin;
  }
};
#endif

}  // namespace orrery::ORRERY_GPU
