/// sampling.hpp on a GPU, in bf16: one block a row, nothing leaves the device but the token.
///
///   gpu::sample({.logits = logits, .vocab = 128256, .rows = 64, .params = params, .out = tokens}, stream);
///
/// The same rules and the same random number as the CPU's. Probabilities are counted in units of 2^-40 of the likeliest
/// token's, as integers, so that a row gets the same token in any batch and on any run; against the CPU's sums in float
/// the token differs where the random number falls within rounding of a boundary. Of tokens whose logits over the
/// temperature differ by less than 2^-17 the smaller number ranks first. The row passes 2 times (likeliest), 4 (plain),
/// 5 (top-k or top-p), 6 (both), from the L2 cache after the first. vocab is a multiple of 8, below 2^22; `params` and
/// `out` are device memory. Throws std::invalid_argument.
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/sampling/sampling.hpp"

namespace orrery::ORRERY_GPU {

void sample(const SampleArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
