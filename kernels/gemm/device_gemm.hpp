/// Every linear layer of a model on a GPU: the implementation that was measured to be the fastest for its shape, and
/// the memory that the flat product needs.
///
///   DeviceGemm product(table, [&](const GemmArgs<Bf16>& a, Stream s) { lt.gemm(a, cuda(s)); }, processors);
///   product.reserve(28672, 4096);                     // once for each (n, k), so that nothing is allocated later
///   product.run(args, stream);                        // in a CUDA graph too
///
/// `args.impl` other than kAuto overrides the table. What an implementation cannot do (more rows than it has, n, k or
/// strides that are not multiples of 8) goes to the large product. One stream at a time.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>

#include "kernels/device/buffer.hpp"
#include "kernels/gemm/choice.hpp"
#include "kernels/gemm/gemm_gpu.hpp"

namespace orrery::ORRERY_GPU {

class DeviceGemm {
 public:
  using Large = std::function<void(const GemmArgs<Bf16>&, Stream)>;

  DeviceGemm(GemmTable table, Large large, int processors)
      : table_(std::move(table)), large_(std::move(large)), processors_(processors) {}

  /// Room for the flat product of an (n, k) with any m. Waits for the device when memory must grow.
  void reserve(std::int64_t n, std::int64_t k) {
    std::int64_t partials = 0;
    std::int32_t tiles = 0;
    for (std::int64_t m = 1; m <= kMostFlatRows; m += 8) {
      const FlatPlan plan = flat_plan(m, n, k, processors_);
      partials = std::max(partials, plan.partials);
      tiles = std::max(tiles, plan.tiles);
    }
    if (partials > static_cast<std::int64_t>(partials_.size())) {
      partials_ = DeviceBuffer<float>(static_cast<std::size_t>(partials), "partial sums");
    }
    if (tiles > static_cast<std::int32_t>(arrived_.size())) {
      arrived_ = DeviceBuffer<std::uint32_t>(static_cast<std::size_t>(tiles), "arrivals");
      device_fill(arrived_.data(), 0, arrived_.size() * sizeof(std::uint32_t), nullptr);
    }
  }

  const GemmTable& table() const { return table_; }

  /// What run() takes.
  GemmImpl choose(const GemmArgs<Bf16>& a) const {
    const GemmImpl wanted = a.impl == GemmImpl::kAuto ? table_.choose(a.m, a.n, a.k) : a.impl;
    const bool vectors = a.k % 8 == 0 && a.ldx % 8 == 0, aligned = vectors && a.n % 8 == 0 && a.ldy % 8 == 0;
    if (wanted == GemmImpl::kGemv && vectors && a.m <= kMostGemvRows) return wanted;
    if (wanted != GemmImpl::kLarge && aligned && a.m <= kMostFlatRows) return GemmImpl::kFlat;
    return GemmImpl::kLarge;
  }

  void run(const GemmArgs<Bf16>& a, Stream stream) {
    if (a.m == 0) return;
    switch (choose(a)) {
      case GemmImpl::kGemv: return gemm_gemv(a, stream);
      case GemmImpl::kFlat:
        reserve(a.n, a.k);
        return gemm_flat(a, flat_plan(a.m, a.n, a.k, processors_), {partials_.data(), arrived_.data()}, stream);
      default: return large_(a, stream);
    }
  }

 private:
  GemmTable table_;
  Large large_;
  int processors_;
  DeviceBuffer<float> partials_;
  DeviceBuffer<std::uint32_t> arrived_;
};

}  // namespace orrery::ORRERY_GPU
