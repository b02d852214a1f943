/// The product that ours are compared with: cuBLASLt, the fastest of the eight algorithms it proposes; where there is
/// no GPU nothing, with a time of 0.
///
///   const auto baseline = make_baseline();
///   const double seconds = baseline->seconds(session, copies_of_one_product);
#pragma once

#include <memory>
#include <span>

#include "kernels/gemm/gemm.hpp"
#include "kernels/gpu_session/session.hpp"

namespace orrery::ORRERY_GPU {

class Baseline {
 public:
  virtual ~Baseline() = default;
  virtual const char* name() const = 0;
  /// Of one product, its operands taken in turn.
  virtual double seconds(Session& session, std::span<const GemmArgs<Bf16>> copies) = 0;
  /// Runs one, by the algorithm chosen before.
  virtual void run(const GemmArgs<Bf16>& args, Stream stream) = 0;
};

std::unique_ptr<Baseline> make_baseline();

}  // namespace orrery::ORRERY_GPU
