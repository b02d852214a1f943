/// Page groups of device memory, by the driver's virtual memory functions. Groups are of 2 MiB or a multiple (what
/// stock drivers can map); all memory is created at once, so that a step waits for mappings only.
///
///   VirtualKv pool(config, device_pages);                            // on device 0
///   auto pages = make_device_pages(space, vmm, device);              // with a driver of one's own: tests
///
/// Calls are made in the device's primary context, the one that the CUDA runtime uses, which is current afterwards in
/// the calling thread. Device memory is not touched here, so kernels in flight are not waited for: a caller unmaps
/// (reclaim, memory taken from released slots) only what no kernel still reads.
#pragma once

#include <cuda.h>

#include "kernels/virtual_kv/page_mapper.hpp"

namespace orrery {

/// The functions used, as they are named in libcuda.
struct CudaVmm {
  decltype(&cuInit) init;
  decltype(&cuGetErrorString) error_string;
  decltype(&cuDevicePrimaryCtxRetain) retain_context;
  decltype(&cuDevicePrimaryCtxRelease) release_context;
  decltype(&cuCtxSetCurrent) set_context;
  decltype(&cuMemGetAllocationGranularity) granularity;
  decltype(&cuMemAddressReserve) reserve;
  decltype(&cuMemAddressFree) free;
  decltype(&cuMemCreate) create;
  decltype(&cuMemRelease) release;
  decltype(&cuMemMap) map;
  decltype(&cuMemUnmap) unmap;
  decltype(&cuMemSetAccess) set_access;
};

/// From libcuda.so.1; std::runtime_error if there is no driver or it lacks one of them.
const CudaVmm& driver_vmm();

std::unique_ptr<PageMapper> make_device_pages(const PageSpace& space, const CudaVmm& vmm, int device);
std::unique_ptr<PageMapper> device_pages(const PageSpace& space);

}  // namespace orrery
