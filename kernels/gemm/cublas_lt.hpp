/// The large matrix product by cuBLASLt, which is opened at run time. Weights and activations in bf16, sums in float.
///
///   CublasLt lt(cublas_lt(), workspace, 32 << 20);                       // device memory of the caller
///   lt.tune({&args, 1}, seconds_of, stream);                             // once a shape: best of the 8 it proposes
///   lt.gemm(args, stream);                                               // any number of times, in a graph too
///
/// A shape that was not tuned runs by the first proposal. Errors throw std::runtime_error: no library, a shape that it
/// cannot do (k, n and strides must keep rows 16-byte aligned for speed; odd ones work). One stream at a time, as the
/// workspace is shared. Memory: one plan a shape.
#pragma once

#include <cublasLt.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "kernels/gemm/gemm.hpp"

namespace orrery {

/// The functions used, as they are named in the library.
struct CublasLtApi {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) matmul;
};

/// From the file that ORRERY_CUBLASLT names, or libcublasLt.so.N of the loader's path; throws if there is none.
const CublasLtApi& cublas_lt();

class CublasLt {
 public:
  /// How long launch(copy) takes, in seconds, for copies of the operands to be used in turn.
  using Timer = std::function<double(const std::function<void(int copy)>& launch)>;

  CublasLt(const CublasLtApi& api, void* workspace, std::size_t workspace_bytes);
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  void gemm(const GemmArgs<Bf16>& args, cudaStream_t stream);
  /// Times what the library proposes for the one shape of these products and keeps the fastest; all y are overwritten.
  /// Returns its seconds.
  double tune(std::span<const GemmArgs<Bf16>> copies, const Timer& seconds_of, cudaStream_t stream);

 private:
  static constexpr int kProposals = 8;
  struct Plan {
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t w = nullptr, x = nullptr, y = nullptr;
    std::array<cublasLtMatmulHeuristicResult_t, kProposals> proposals{};
    int count = 0, chosen = 0;
  };
  using Key = std::array<std::int64_t, 5>;      ///< m, n, k, ldx, ldy

  Plan& plan_of(const GemmArgs<Bf16>& args);
  void propose(Plan& plan) const;
  void drop(Plan& plan) const;
  cublasStatus_t run(const GemmArgs<Bf16>& args, const Plan& plan, int proposal, cudaStream_t stream) const;

  const CublasLtApi& api_;
  void* workspace_;
  std::size_t workspace_bytes_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace orrery
