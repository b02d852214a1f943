/// The physical part of an operator's time: a roof with few positive coefficients, t = f(x; theta), in seconds. What
/// the roof leaves over is a residual on a grid (residual_grid.hpp). The same code runs inside the fitter, so what is
/// fitted is what is simulated; it uses sim/base/math.hpp alone and is bit-equal on every machine. O(1), ~50 ns.
///
///   Shape x{64, 4096, 4096};                                        // GEMM: m, n, k
///   double t = law_seconds(Op::kGemm, {3.6e-6, 772e12, 3.9e12, 2.4}, 132, x);
///
/// All operators are 16-bit. What a shape holds:
///   kGemm     m, n, k                                      y[m,n] = x[m,k] w[k,n]
///   kPrefill  batch, q, context, heads, kv_heads, head_dim causal attention of q new tokens after `context` old ones
///   kPrefillRows  the same shape on a processor that takes rows one after the other, without tiles to fill (the CPU)
///   kDecode   batch, context, heads, kv_heads, head_dim    paged attention of one token over `context` with itself
///   kGemmRows the shape of kGemm on a processor that takes rows by small tiles, which do not overlap (the CPU); its
///             sm_count is the number of rows of such a tile
///   kExperts  tokens, n, k, experts, top_k                 the products of a mixture: each token's rows with the
///             matrices of its top_k of `experts`, taken to be drawn evenly; by tiles, as kGemmRows
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace orrery {

enum class Op : unsigned char { kGemm, kPrefill, kDecode, kPrefillRows, kGemmRows, kExperts };
inline constexpr std::array kOps{Op::kGemm, Op::kPrefill, Op::kDecode};

constexpr std::string_view name(Op op) {
  constexpr std::string_view names[] = {"gemm", "prefill", "decode", "prefill rows", "gemm rows", "experts"};
  return names[static_cast<std::size_t>(op)];
}

using Shape = std::array<double, 6>;     ///< unused places are 0
using Features = std::array<double, 5>;  ///< log2 of the quantities that the residual depends on; unused places are 0

/// One coefficient: all are positive. `kind` says how a data sheet scales it to another device: latencies and shapes
/// stay, a time per tile goes with the arithmetic rate of one processor, a time per unit with the memory bandwidth.
struct Coefficient {
  enum class Kind : unsigned char { kLatency, kFlops, kBandwidth, kPerSm, kPerUnit, kShape };
  std::string_view name;
  Kind kind;
  double guess;  ///< where a fit starts
};

std::span<const Coefficient> coefficients(Op op);
std::span<const std::string_view> shape_names(Op op);
std::span<const std::string_view> feature_names(Op op);

double law_seconds(Op op, std::span<const double> theta, double sm_count, const Shape& x);
Features features(Op op, const Shape& x);
/// Experts that so many tokens touch, each with top_k of them: the expected number.
double touched_experts(double tokens, double experts, double top_k);
double law_flops(Op op, const Shape& x);  ///< useful arithmetic (causal pairs only)
double law_bytes(Op op, const Shape& x);  ///< compulsory traffic: every operand once

}  // namespace orrery
