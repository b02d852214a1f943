/// Device memory with an owner, and copies to and from it; without a GPU, memory of the emulator.
///
///   DeviceBuffer<float> x(host_vector, "x");   DeviceBuffer<float> out(n, "out");   out.poison();
///   kernel(x.data(), out.data());   std::vector<float> result = out.download();
///
/// A buffer made from a vector is an input: the emulator lets nobody write it. Download waits for the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device/device.hpp"
#if defined(__CUDACC__) || defined(ORRERY_GPU_CUDA)
#include "kernels/device/cuda_error.hpp"
#else
#include "kernels/device/emulator/global_memory.hpp"
#endif

namespace orrery::ORRERY_GPU {

/// Untyped device memory; what is different between the two backends.
#if defined(__CUDACC__) || defined(ORRERY_GPU_CUDA)
inline void* device_allocate(std::size_t bytes, const char*, bool) {
  void* p = nullptr;
  if (bytes) check_cuda(cudaMalloc(&p, bytes), "device memory");
  return p;
}
inline void device_free(void* p) { cudaFree(p); }
inline void device_upload(void* to, const void* from, std::size_t bytes) {
  check_cuda(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copy to the device");
}
inline void device_download(void* to, const void* from, std::size_t bytes) {
  check_cuda(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "copy from the device");
}
inline void device_fill(void* p, int byte, std::size_t bytes, Stream stream) {
  check_cuda(cudaMemsetAsync(p, byte, bytes, static_cast<cudaStream_t>(stream)), "fill of device memory");
}
inline bool device_present() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}
/// False once an error of a kernel has ended the context: no later call of this process works.
inline bool device_usable() {
  cudaGetLastError();                        // of a launch that was refused: the next may work
  return cudaDeviceSynchronize() == cudaSuccess;
}
inline int device_processors() {
  int device = 0, count = 0;
  check_cuda(cudaGetDevice(&device), "the current device");
  check_cuda(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "number of processors");
  return count;
}
/// 10 * major + minor of the compute capability.
inline int device_generation() {
  int device = 0, major = 0, minor = 0;
  check_cuda(cudaGetDevice(&device), "the current device");
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "compute capability");
  check_cuda(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "compute capability");
  return 10 * major + minor;
}
inline std::string device_name() {
  int device = 0;
  cudaDeviceProp p{};
  check_cuda(cudaGetDevice(&device), "the current device");
  check_cuda(cudaGetDeviceProperties(&p, device), "properties of the device");
  return p.name;
}
#else
inline void* device_allocate(std::size_t bytes, const char* name, bool input) {
  if (!bytes) return nullptr;
  void* p = ::operator new(bytes, std::align_val_t{256});
  emulator::GlobalMemory::instance().add(p, bytes, name);
  emulator::GlobalMemory::instance().set_read_only(p, input);
  return p;
}
inline void device_free(void* p) {
  if (!p) return;
  emulator::GlobalMemory::instance().remove(p);
  ::operator delete(p, std::align_val_t{256});
}
inline void device_upload(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
inline void device_download(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
inline void device_fill(void* p, int byte, std::size_t bytes, Stream) { std::memset(p, byte, bytes); }
inline bool device_present() { return true; }
inline bool device_usable() { return true; }
inline int device_processors() { return 4; }
inline int device_generation() { return 90; }
inline std::string device_name() { return "emulated GPU"; }
#endif

template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t n, const char* name) : size_(n), data_(allocate(n, name, false)) {}
  explicit DeviceBuffer(const std::vector<T>& host, const char* name)
      : size_(host.size()), data_(allocate(host.size(), name, true)) {
    if (size_) device_upload(data_, host.data(), size_ * sizeof(T));
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : size_(std::exchange(other.size_, 0)), data_(std::exchange(other.data_, nullptr)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~DeviceBuffer() { device_free(const_cast<std::remove_const_t<T>*>(data_)); }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }
  void poison() {
    if (size_) device_fill(data_, 0xff, size_ * sizeof(T), nullptr);
  }
  std::vector<T> download() const {
    std::vector<T> host(size_);
    if (size_) device_download(host.data(), data_, size_ * sizeof(T));
    return host;
  }

 private:
  static T* allocate(std::size_t n, const char* name, bool input) {
    return static_cast<T*>(device_allocate(n * sizeof(T), name, input));
  }
  std::size_t size_ = 0;
  T* data_ = nullptr;
};

}  // namespace orrery::ORRERY_GPU
