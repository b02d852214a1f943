/// Work that a host gives a device in order: a stream, pinned host memory to copy from and to, and graphs, which are
/// launches recorded once and given again with the same arguments. Without a GPU all runs at once, and a graph calls
/// what it recorded again: kernels see what lies in their buffers then, as on a GPU.
///
///   DeviceStream s;   PinnedBuffer<int> host(n);
///   s.upload(device.data(), host.data(), bytes);   kernel(device.data(), s.get());   s.wait();
///   DeviceGraph graph(s, [&] { kernel(device.data(), s.get()); });   graph.launch(s);
///
/// What a graph records must launch kernels and fills only, on that stream, and must not allocate; everything else it
/// does on the host happens once on a GPU. Throws CudaError.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "kernels/device/buffer.hpp"

namespace orrery::ORRERY_GPU {

#if defined(__CUDACC__) || defined(ORRERY_GPU_CUDA)

class DeviceStream {
 public:
  DeviceStream() { check_cuda(cudaStreamCreate(&stream_), "a stream"); }
  ~DeviceStream() { cudaStreamDestroy(stream_); }
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;

  Stream get() const { return stream_; }
  void upload(void* to, const void* from, std::size_t bytes) {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
  }
  void download(void* to, const void* from, std::size_t bytes) {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copy from the device");
  }
  void wait() { check_cuda(cudaStreamSynchronize(stream_), "waiting for the device"); }

 private:
  cudaStream_t stream_ = nullptr;
};

inline void* pinned_allocate(std::size_t bytes) {
  void* p = nullptr;
  check_cuda(cudaMallocHost(&p, bytes), "pinned host memory");
  return p;
}
inline void pinned_free(void* p) { cudaFreeHost(p); }

class DeviceGraph {
 public:
  DeviceGraph(DeviceStream& stream, const std::function<void()>& record) {
    const auto s = static_cast<cudaStream_t>(stream.get());
    cudaGraph_t graph = nullptr;
    check_cuda(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), "recording of a graph");
    try {
      record();
    } catch (...) {
      if (cudaStreamEndCapture(s, &graph) == cudaSuccess) cudaGraphDestroy(graph);
      throw;
    }
    check_cuda(cudaStreamEndCapture(s, &graph), "recording of a graph");
    const cudaError_t made = cudaGraphInstantiate(&run_, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(made, "a graph");
  }
  ~DeviceGraph() {
    if (run_) cudaGraphExecDestroy(run_);
  }
  DeviceGraph(DeviceGraph&& other) noexcept : run_(std::exchange(other.run_, nullptr)) {}
  DeviceGraph& operator=(DeviceGraph&& other) noexcept {
    std::swap(run_, other.run_);
    return *this;
  }
  void launch(DeviceStream& stream) const {
    check_cuda(cudaGraphLaunch(run_, static_cast<cudaStream_t>(stream.get())), "launch of a graph");
  }

 private:
  cudaGraphExec_t run_ = nullptr;
};

#else

class DeviceStream {
 public:
  Stream get() const { return nullptr; }
  void upload(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
  void wait() {}
};

inline void* pinned_allocate(std::size_t bytes) { return ::operator new(bytes, std::align_val_t{256}); }
inline void pinned_free(void* p) { ::operator delete(p, std::align_val_t{256}); }

class DeviceGraph {
 public:
  DeviceGraph(DeviceStream&, std::function<void()> record) : record_(std::move(record)) {}
  void launch(DeviceStream&) const { record_(); }

 private:
  std::function<void()> record_;
};

#endif

/// Host memory that the device copies from and to beside the host's work.
template <class T>
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t n)
      : size_(n), data_(n ? static_cast<T*>(pinned_allocate(n * sizeof(T))) : nullptr) {}
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : size_(std::exchange(other.size_, 0)), data_(std::exchange(other.data_, nullptr)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~PinnedBuffer() {
    if (data_) pinned_free(data_);
  }
  T* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
  T* data_ = nullptr;
};

}  // namespace orrery::ORRERY_GPU
