#include "kernels/gpu_session/baseline.hpp"

#if defined(ORRERY_GPU_CUDA)
#include "kernels/gemm/cublas_lt.hpp"
#endif

namespace orrery::ORRERY_GPU {
namespace {

#if defined(ORRERY_GPU_CUDA)
constexpr std::size_t kWorkspace = 64 << 20;

class LtBaseline final : public Baseline {
 public:
  LtBaseline() : workspace_(kWorkspace, "workspace"), lt_(cublas_lt(), workspace_.data(), kWorkspace) {}
  const char* name() const override { return "cuBLASLt, best of 8"; }
  double seconds(Session& session, std::span<const GemmArgs<Bf16>> copies) override {
    return lt_.tune(copies, [&](const std::function<void(int)>& launch) {
      return session.time(static_cast<int>(copies.size()), [&](int copy, Stream) { launch(copy); }).seconds;
    }, static_cast<cudaStream_t>(session.stream()));
  }
  void run(const GemmArgs<Bf16>& args, Stream stream) override { lt_.gemm(args, static_cast<cudaStream_t>(stream)); }

 private:
  DeviceBuffer<std::uint8_t> workspace_;
  CublasLt lt_;
};
#else
class NoBaseline final : public Baseline {
 public:
  const char* name() const override { return "none"; }
  double seconds(Session&, std::span<const GemmArgs<Bf16>>) override { return 0; }
  void run(const GemmArgs<Bf16>&, Stream) override {}
};
#endif

}  // namespace

std::unique_ptr<Baseline> make_baseline() {
#if defined(ORRERY_GPU_CUDA)
  return std::make_unique<LtBaseline>();
#else
  return std::make_unique<NoBaseline>();
#endif
}

}  // namespace orrery::ORRERY_GPU
