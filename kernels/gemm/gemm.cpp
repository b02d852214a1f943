#include "kernels/gemm/gemm.hpp"

#include "kernels/gemm/block.hpp"

namespace orrery {

template <class T>
void gemm(const GemmArgs<T>& a) {
  const std::int64_t ldx = a.ldx ? a.ldx : a.k, ldy = a.ldy ? a.ldy : a.n;
  const GemmImpl impl = a.impl == GemmImpl::kAuto ? gemm_choice(a.m) : a.impl;
  const std::int64_t block = impl == GemmImpl::kGemv ? 1 : impl == GemmImpl::kFlat ? 64 : 48;
  gemm_rows<T>([&](std::int64_t i) { return a.x + i * ldx; }, a.m, a.w, a.n, a.k, block,
               [&](std::int64_t i, std::int64_t j, Accum<T> sum) {
                 T& y = a.y[i * ldy + j];
                 y = to<T>(a.accumulate ? from(y) + sum : sum);
               });
}

GemmImpl gemm_choice(std::int64_t m) { return m <= 1 ? GemmImpl::kGemv : m <= 64 ? GemmImpl::kFlat : GemmImpl::kLarge; }

KERNEL_INSTANTIATE(gemm, GemmArgs)

}  // namespace orrery
