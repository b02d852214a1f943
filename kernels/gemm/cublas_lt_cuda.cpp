#include "kernels/gemm/cublas_lt.hpp"

#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/device/library.hpp"

namespace orrery {
namespace {

void check(cublasStatus_t status, const std::string& what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error("cuBLASLt, " + what + ": status " + std::to_string(static_cast<int>(status)));
  }
}

}  // namespace

const CublasLtApi& cublas_lt() {
  static const CublasLtApi api = [] {
    const char* named = std::getenv("ORRERY_CUBLASLT");
    const std::string file = named ? named : "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
    const Library library(file, "cuBLASLt",
                          "put its folder on LD_LIBRARY_PATH, or name the file in ORRERY_CUBLASLT");
    CublasLtApi a{};
    library.look_up("cublasLtCreate", a.create);
    library.look_up("cublasLtDestroy", a.destroy);
    library.look_up("cublasLtMatmulDescCreate", a.desc_create);
    library.look_up("cublasLtMatmulDescDestroy", a.desc_destroy);
    library.look_up("cublasLtMatmulDescSetAttribute", a.desc_set);
    library.look_up("cublasLtMatrixLayoutCreate", a.layout_create);
    library.look_up("cublasLtMatrixLayoutDestroy", a.layout_destroy);
    library.look_up("cublasLtMatmulPreferenceCreate", a.preference_create);
    library.look_up("cublasLtMatmulPreferenceDestroy", a.preference_destroy);
    library.look_up("cublasLtMatmulPreferenceSetAttribute", a.preference_set);
    library.look_up("cublasLtMatmulAlgoGetHeuristic", a.heuristic);
    library.look_up("cublasLtMatmul", a.matmul);
    return a;
  }();
  return api;
}

CublasLt::CublasLt(const CublasLtApi& api, void* workspace, std::size_t workspace_bytes)
    : api_(api), workspace_(workspace), workspace_bytes_(workspace_bytes) {
  check(api_.create(&handle_), "starting");
}

CublasLt::~CublasLt() {
  for (auto& [key, plan] : plans_) drop(plan);
  api_.destroy(handle_);
}

void CublasLt::drop(Plan& plan) const {
  for (cublasLtMatrixLayout_t layout : {plan.w, plan.x, plan.y})
    if (layout) api_.layout_destroy(layout);
  if (plan.desc) api_.desc_destroy(plan.desc);
}

/// cuBLAS counts columns first, so our rows of y are columns of its D: D (n, m) = A^T B, A = w (k, n), B = x (k, m).
CublasLt::Plan& CublasLt::plan_of(const GemmArgs<Bf16>& a) {
  const std::int64_t ldx = a.ldx ? a.ldx : a.k, ldy = a.ldy ? a.ldy : a.n;
  const auto [at, fresh] = plans_.try_emplace(Key{a.m, a.n, a.k, ldx, ldy});
  Plan& plan = at->second;
  if (!fresh) return plan;
  try {
    check(api_.desc_create(&plan.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
    const cublasOperation_t transposed = CUBLAS_OP_T, plain = CUBLAS_OP_N;
    check(api_.desc_set(plan.desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed), "transposing");
    check(api_.desc_set(plan.desc, CUBLASLT_MATMUL_DESC_TRANSB, &plain, sizeof plain), "transposing");
    const auto layout = [&](cublasLtMatrixLayout_t& out, std::int64_t rows, std::int64_t columns, std::int64_t ld) {
      check(api_.layout_create(&out, CUDA_R_16BF, static_cast<std::uint64_t>(rows),
                               static_cast<std::uint64_t>(columns), ld), "describing a matrix");
    };
    layout(plan.w, a.k, a.n, a.k);
    layout(plan.x, a.k, a.m, ldx);
    layout(plan.y, a.n, a.m, ldy);
    propose(plan);
  } catch (...) {
    drop(plan);
    plans_.erase(at);
    throw;
  }
  return plan;
}

void CublasLt::propose(Plan& plan) const {
  cublasLtMatmulPreference_t preference = nullptr;
  check(api_.preference_create(&preference), "preferences");
  api_.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes_, sizeof workspace_bytes_);
  const cublasStatus_t status = api_.heuristic(handle_, plan.desc, plan.w, plan.x, plan.y, plan.y, preference,
                                               kProposals, plan.proposals.data(), &plan.count);
  api_.preference_destroy(preference);
  check(status, "choosing an algorithm");
  if (plan.count == 0) throw std::runtime_error("cuBLASLt has no algorithm for this product");
}

cublasStatus_t CublasLt::run(const GemmArgs<Bf16>& a, const Plan& plan, int proposal, cudaStream_t stream) const {
  const float one = 1, beta = a.accumulate ? 1.0f : 0.0f;
  return api_.matmul(handle_, plan.desc, &one, a.w, plan.w, a.x, plan.x, &beta, a.y, plan.y, a.y, plan.y,
                     &plan.proposals[proposal].algo, workspace_, workspace_bytes_, stream);
}

void CublasLt::gemm(const GemmArgs<Bf16>& args, cudaStream_t stream) {
  if (args.m == 0 || args.n == 0) return;
  const Plan& plan = plan_of(args);
  check(run(args, plan, plan.chosen, stream), "product");
}

double CublasLt::tune(std::span<const GemmArgs<Bf16>> copies, const Timer& seconds_of, cudaStream_t stream) {
  Plan& plan = plan_of(copies.front());
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < plan.count; ++i) {
    if (plan.proposals[i].state != CUBLAS_STATUS_SUCCESS) continue;
    if (run(copies.front(), plan, i, stream) != CUBLAS_STATUS_SUCCESS) continue;   // proposed, and refused all the same
    const double seconds = seconds_of([&](int copy) { run(copies[copy], plan, i, stream); });
    if (seconds < best) {
      best = seconds;
      plan.chosen = i;
    }
  }
  if (best == std::numeric_limits<double>::infinity()) throw std::runtime_error("cuBLASLt ran none of its proposals");
  return best;
}

}  // namespace orrery
