#include "kernels/virtual_kv/device_pages.hpp"

#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "kernels/device/library.hpp"

namespace orrery {
namespace {

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
    const Library library("libcuda.so.1", "the CUDA driver");
    CudaVmm v{};
    library.look_up("cuInit", v.init);
    library.look_up("cuGetErrorString", v.error_string);
    library.look_up("cuDevicePrimaryCtxRetain", v.retain_context);
    library.look_up("cuDevicePrimaryCtxRelease_v2", v.release_context);
    library.look_up("cuCtxSetCurrent", v.set_context);
    library.look_up("cuMemGetAllocationGranularity", v.granularity);
    library.look_up("cuMemAddressReserve", v.reserve);
    library.look_up("cuMemAddressFree", v.free);
    library.look_up("cuMemCreate", v.create);
    library.look_up("cuMemRelease", v.release);
    library.look_up("cuMemMap", v.map);
    library.look_up("cuMemUnmap", v.unmap);
    library.look_up("cuMemSetAccess", v.set_access);
    return v;
  }();
  return vmm;
}

std::unique_ptr<PageMapper> make_device_pages(const PageSpace& space, const CudaVmm& vmm, int device) {
  return std::make_unique<DevicePages>(space, vmm, device);
}

std::unique_ptr<PageMapper> device_pages(const PageSpace& space) { return make_device_pages(space, driver_vmm(), 0); }

}  // namespace orrery
