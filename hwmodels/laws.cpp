#include "hwmodels/laws.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/math.hpp"

namespace orrery {
namespace {

constexpr double kTile = 128;  // rows and columns of an attention tile (FlashAttention-2 and -3, head sizes 64 and 128)

/// (a^p + b^p)^(1/p): close to the larger of two bounds, above both where they meet.
double p_norm(double a, double b, double p) {
  const double high = std::max(a, b), low = std::min(a, b);
  if (low <= 0) return high;
  return high * fast_exp2(fast_log2(1 + fast_exp2(p * fast_log2(low / high))) / p);
}

using K = Coefficient::Kind;
constexpr Coefficient kGemmCoefficients[] = {
    {"latency_s", K::kLatency, 4e-6}, {"flops_per_s", K::kFlops, 5e14}, {"bytes_per_s", K::kBandwidth, 2e12}, {"p", K::kShape, 2.4}};
constexpr Coefficient kPrefillCoefficients[] = {
    {"latency_s", K::kLatency, 1e-5}, {"block_s", K::kPerSm, 1e-6},        {"tile_s", K::kPerSm, 1e-6},
    {"longest_row", K::kShape, 0.5},  {"kv_bytes_per_s", K::kBandwidth, 1e12}, {"p", K::kShape, 1.5}};
constexpr Coefficient kDecodeCoefficients[] = {
    {"latency_s", K::kLatency, 1e-5}, {"per_sequence_s", K::kPerUnit, 2e-8}, {"per_unit_s", K::kPerUnit, 5e-9},
    {"bytes_per_s", K::kBandwidth, 2e12}, {"few_units", K::kShape, 0.02}, {"p", K::kShape, 2.0}};

constexpr Coefficient kPrefillRowsCoefficients[] = {
    {"latency_s", K::kLatency, 1e-6}, {"pair_s", K::kPerSm, 1e-8}, {"row_s", K::kPerSm, 1e-7}, {"block_s", K::kPerSm, 1e-7}};

constexpr std::string_view kGemmShape[] = {"m", "n", "k"};
constexpr std::string_view kPrefillShape[] = {"batch", "q", "context", "heads", "kv_heads", "head_dim"};
constexpr std::string_view kDecodeShape[] = {"batch", "context", "heads", "kv_heads", "head_dim"};
constexpr std::string_view kGemmFeatures[] = {"m", "n", "k"};
constexpr std::string_view kPrefillFeatures[] = {"batch*heads", "sqrt(2*pairs)", "heads/kv_heads", "head_dim", "heads"};
constexpr std::string_view kPrefillRowsFeatures[] = {"batch", "sqrt(2*pairs)", "q"};
constexpr std::string_view kDecodeFeatures[] = {"batch*kv_heads", "context", "heads/kv_heads", "head_dim", "kv_heads"};

double gemm_seconds(std::span<const double> t, const Shape& x) {
  return t[0] + p_norm(law_flops(Op::kGemm, x) / t[1], law_bytes(Op::kGemm, x) / t[2], t[3]);
}

/// Tiles of 128 query rows, the heads of a group packed into them, times blocks of 128 keys: the mean load of sm_count
/// processors, plus a share of the longest row of causal blocks that none can split (old context is split).
double prefill_seconds(std::span<const double> t, double sm_count, const Shape& x) {
  const auto [batch, q, context, heads, kv_heads, head_dim] = x;
  const double rows = std::ceil(q / kTile);
  const double tiles = batch * kv_heads * std::ceil(q * (heads / kv_heads) / kTile);
  const double blocks = tiles * (context / kTile + 0.5 * (rows + 1));
  const double makespan = blocks / sm_count + t[3] * rows;
  const double compute = makespan * t[1] * (head_dim / 128) + t[2] * (tiles / sm_count);
  const double read = 4 * batch * head_dim * kv_heads * (context + q) / t[4];
  return p_norm(t[0], compute + read, t[5]);
}

/// Query-key pairs, query rows, and loads of blocks of 64 keys by tiles of 64 rows.
double prefill_rows_seconds(std::span<const double> t, const Shape& x) {
  const auto [batch, q, context, heads, kv_heads, head_dim] = x;
  const double pairs = q * (context + 0.5 * (q + 1)), blocks = std::ceil(q / 64) * std::ceil((context + q) / 64);
  return t[0] + batch * head_dim / 128 * (heads * (t[1] * pairs + t[2] * q) + kv_heads * t[3] * blocks);
}

/// Reads the cache once, but few units, (sequence, KV head) pairs, cannot use the whole bandwidth; below one tile of
/// context a unit costs the same whatever its length.
double decode_seconds(std::span<const double> t, double sm_count, const Shape& x) {
  const double batch = x[0], units = x[0] * x[3];
  const double read = law_bytes(Op::kDecode, x) / t[3] * (1 + t[4] * sm_count / units);
  return p_norm(t[0] + t[1] * batch + t[2] * units * (x[4] / 128), read, t[5]);
}

}  // namespace

std::span<const Coefficient> coefficients(Op op) {
  if (op == Op::kGemm) return kGemmCoefficients;
  if (op == Op::kPrefill) return kPrefillCoefficients;
  if (op == Op::kPrefillRows) return kPrefillRowsCoefficients;
  return kDecodeCoefficients;
}

std::span<const std::string_view> shape_names(Op op) {
  if (op == Op::kGemm) return kGemmShape;
  if (op == Op::kPrefill || op == Op::kPrefillRows) return kPrefillShape;
  return kDecodeShape;
}

std::span<const std::string_view> feature_names(Op op) {
  if (op == Op::kGemm) return kGemmFeatures;
  if (op == Op::kPrefill) return kPrefillFeatures;
  if (op == Op::kPrefillRows) return kPrefillRowsFeatures;
  return kDecodeFeatures;
}

double law_seconds(Op op, std::span<const double> theta, double sm_count, const Shape& x) {
  if (op == Op::kGemm) return gemm_seconds(theta, x);
  if (op == Op::kPrefill) return prefill_seconds(theta, sm_count, x);
  if (op == Op::kPrefillRows) return prefill_rows_seconds(theta, x);
  return decode_seconds(theta, sm_count, x);
}

Features features(Op op, const Shape& x) {
  if (op == Op::kGemm) return {fast_log2(x[0]), fast_log2(x[1]), fast_log2(x[2])};
  if (op == Op::kPrefill) {
    // A chunk behind a context has the residual of the whole prompt with as many query-key pairs.
    return {fast_log2(x[0] * x[3]), 0.5 * fast_log2(x[1] * (x[1] + 2 * x[2])), fast_log2(x[3] / x[4]), fast_log2(x[5]),
            fast_log2(x[3])};
  }
  if (op == Op::kPrefillRows) return {fast_log2(x[0]), 0.5 * fast_log2(x[1] * (x[1] + 2 * x[2])), fast_log2(x[1])};
  return {fast_log2(x[0] * x[3]), fast_log2(x[1]), fast_log2(x[2] / x[3]), fast_log2(x[4]), fast_log2(x[3])};
}

double law_flops(Op op, const Shape& x) {
  if (op == Op::kGemm) return 2 * x[0] * x[1] * x[2];
  if (op == Op::kPrefill || op == Op::kPrefillRows) return 4 * x[0] * x[3] * x[5] * x[1] * (x[2] + 0.5 * x[1]);
  return 4 * x[0] * x[1] * x[2] * x[4];
}

double law_bytes(Op op, const Shape& x) {
  if (op == Op::kGemm) return 2 * (x[0] * x[2] + x[2] * x[1] + x[0] * x[1]);
  if (op == Op::kPrefill || op == Op::kPrefillRows) return 4 * x[0] * x[5] * (x[3] * x[1] + x[4] * (x[2] + x[1]));
  return 4 * x[0] * x[4] * (x[1] * x[3] + x[2]);
}

}  // namespace orrery
