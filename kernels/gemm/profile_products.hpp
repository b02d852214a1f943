/// Which product is fastest for how few rows, measured on the weights that will be used (FlashDecoding++, section 5):
/// one row at a time, flat, and the large one, over the layers' matrices in turn, so that none finds its weights in the
/// cache.
///
///   GemmTable table;
///   table.set(profile_products(4096, 4096, matrices_of_all_layers, x, large, stream));
///
/// About 0.1 s a shape on a GPU. `x` holds 64 rows of k numbers. Where there is no GPU it launches everything once and
/// what it finds means nothing. Throws what the products throw.
#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "kernels/device/device_clock.hpp"
#include "kernels/gemm/choice.hpp"
#include "kernels/gemm/device_gemm.hpp"

namespace orrery::ORRERY_GPU {

inline GemmThresholds profile_products(std::int64_t n, std::int64_t k, std::span<const Bf16* const> weights,
                                       const Bf16* x, const DeviceGemm::Large& large, DeviceStream& stream) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  DeviceClock clock(stream);
  DeviceGemm product({}, large, device_processors());
  product.reserve(n, k);
  DeviceBuffer<Bf16> y(static_cast<std::size_t>(kMostFlatRows * n), "profiled results");
  const auto seconds = [&](std::int64_t m, GemmImpl impl) {
    const auto launch = [&](std::int64_t i) {
      product.run({.x = x, .w = weights[static_cast<std::size_t>(i) % weights.size()], .y = y.data(), .m = m, .n = n,
                   .k = k, .impl = impl}, stream.get());
    };
    clock.seconds(1, launch);                        // loads the kernel, lets the library choose
    const auto launches = static_cast<std::int64_t>(std::max<std::size_t>(2, weights.size()));
    std::vector<double> samples;
    for (int i = 0; i < 3; ++i) samples.push_back(clock.seconds(launches, launch));
    std::sort(samples.begin(), samples.end());
    return samples[1];
  };
  GemmProfile profile;
  for (const std::int64_t m : {1, 2, 4, 8, 16, 24, 32, 48, 64}) {
    profile.m.push_back(m);
    profile.gemv.push_back(m <= kMostGemvRows && k % 8 == 0 ? seconds(m, GemmImpl::kGemv) : kNever);
    profile.flat.push_back(n % 8 == 0 && k % 8 == 0 ? seconds(m, GemmImpl::kFlat) : kNever);
    profile.large.push_back(seconds(m, GemmImpl::kLarge));
  }
  return fit_thresholds(n, k, profile);
}

}  // namespace orrery::ORRERY_GPU
