#include "kernels/virtual_kv/device_pages.hpp"

#include <dlfcn.h>

#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace orrery {
namespace {

template <class F>
void look_up(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (!function) throw std::runtime_error(std::string("the CUDA driver has no ") + name + ": it is too old");
}

class DevicePages final : public PageMapper {
 public:
  DevicePages(const PageSpace& space, const CudaVmm& vmm, int device) : space_(space), vmm_(vmm), device_(device) {
    check(vmm.init(0), "starting the CUDA driver");
    check(vmm.retain_context(&context_, device), "the context of the device");
    vmm.set_context(context_);
    CUmemAllocationProp what{};
    what.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    what.location = {CU_MEM_LOCATION_TYPE_DEVICE, {device}};
    access_ = {what.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    std::size_t least = 0;
    try {
      check(vmm.granularity(&least, &what, CU_MEM_ALLOC_GRANULARITY_MINIMUM), "page size of the device");
      if (space.group_bytes % static_cast<std::int64_t>(least) != 0) {
        throw std::invalid_argument("page_group_bytes: expected a multiple of the device's page of " +
                                    std::to_string(least) + " bytes, got " + std::to_string(space.group_bytes));
      }
      check(vmm.reserve(&base_, size(space.address_bytes), 0, 0, 0), "reserving addresses for KV");
      mapped_.resize(static_cast<std::size_t>(space.address_bytes / space.group_bytes));
      for (std::int64_t g = 0; g < space.groups; ++g) {
        CUmemGenericAllocationHandle handle;
        check(vmm.create(&handle, size(space.group_bytes), &what, 0), "memory for KV");
        groups_.push_back(handle);
      }
    } catch (...) {
      release();
      throw;
    }
  }
  ~DevicePages() override { release(); }
  DevicePages(const DevicePages&) = delete;
  DevicePages& operator=(const DevicePages&) = delete;

  std::byte* base() const override { return reinterpret_cast<std::byte*>(base_); }

  bool map(std::int64_t offset, std::int64_t group) override {
    vmm_.set_context(context_);
    const CUdeviceptr at = base_ + static_cast<CUdeviceptr>(offset);
    if (vmm_.map(at, size(space_.group_bytes), 0, groups_[group], 0) != CUDA_SUCCESS) return false;
    if (vmm_.set_access(at, size(space_.group_bytes), &access_, 1) != CUDA_SUCCESS) {
      vmm_.unmap(at, size(space_.group_bytes));
      return false;
    }
    mapped_[offset / space_.group_bytes] = true;
    return true;
  }

  void unmap(std::int64_t offset) override {
    vmm_.set_context(context_);
    vmm_.unmap(base_ + static_cast<CUdeviceptr>(offset), size(space_.group_bytes));
    mapped_[offset / space_.group_bytes] = false;
  }

 private:
  static std::size_t size(std::int64_t bytes) { return static_cast<std::size_t>(bytes); }

  void check(CUresult result, const std::string& what) const {
    if (result == CUDA_SUCCESS) return;
    const char* text = nullptr;
    vmm_.error_string(result, &text);
    throw std::system_error(std::make_error_code(std::errc::not_enough_memory),
                            what + ": CUDA error " + std::to_string(result) + ", " + (text ? text : "unknown"));
  }

  void release() {
    for (std::size_t i = 0; i < mapped_.size(); ++i) {
      if (mapped_[i]) unmap(static_cast<std::int64_t>(i) * space_.group_bytes);
    }
    for (CUmemGenericAllocationHandle handle : groups_) vmm_.release(handle);
    if (base_) vmm_.free(base_, size(space_.address_bytes));
    vmm_.release_context(device_);
  }

  PageSpace space_;
  CudaVmm vmm_;
  int device_;
  CUcontext context_ = nullptr;
  CUmemAccessDesc access_{};
  CUdeviceptr base_ = 0;
  std::vector<CUmemGenericAllocationHandle> groups_;
  std::vector<bool> mapped_;                ///< by page group of the addresses
};

}  // namespace

const CudaVmm& driver_vmm() {
  static const CudaVmm vmm = [] {
    void* const library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) throw std::runtime_error("no CUDA driver on this machine (libcuda.so.1)");
    CudaVmm v{};
    look_up(library, "cuInit", v.init);
    look_up(library, "cuGetErrorString", v.error_string);
    look_up(library, "cuDevicePrimaryCtxRetain", v.retain_context);
    look_up(library, "cuDevicePrimaryCtxRelease_v2", v.release_context);
    look_up(library, "cuCtxSetCurrent", v.set_context);
    look_up(library, "cuMemGetAllocationGranularity", v.granularity);
    look_up(library, "cuMemAddressReserve", v.reserve);
    look_up(library, "cuMemAddressFree", v.free);
    look_up(library, "cuMemCreate", v.create);
    look_up(library, "cuMemRelease", v.release);
    look_up(library, "cuMemMap", v.map);
    look_up(library, "cuMemUnmap", v.unmap);
    look_up(library, "cuMemSetAccess", v.set_access);
    return v;
  }();
  return vmm;
}

std::unique_ptr<PageMapper> make_device_pages(const PageSpace& space, const CudaVmm& vmm, int device) {
  return std::make_unique<DevicePages>(space, vmm, device);
}

std::unique_ptr<PageMapper> device_pages(const PageSpace& space) { return make_device_pages(space, driver_vmm(), 0); }

}  // namespace orrery
