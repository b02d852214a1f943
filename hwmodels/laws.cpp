#include "hwmodels/laws.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/math.hpp"

namespace orrery {
namespace {

constexpr double kKeyBlock = 128;     // keys of an attention block (FlashAttention-3, causal)
constexpr double kSplitBelow = 0.8;   // FlashAttention splits the keys when a call's tiles fill less of the chip
constexpr double kSplitBlocks = 4;    // ... and only above as many key blocks
constexpr double kAppendLanes = 512;  // the KV append starts one lane an element of a token, at most this many
constexpr double kGroupRows = 16;     // rows that one warp stores; groups that do not divide them cost more

/// (a^p + b^p)^(1/p): close to the larger of two bounds, above both where they meet.
double p_norm(double a, double b, double p) {
  const double high = std::max(a, b), low = std::min(a, b);
  if (low <= 0) return high;
  return high * fast_exp2(fast_log2(1 + fast_exp2(p * fast_log2(low / high))) / p);
}

using K = Coefficient::Kind;
constexpr Coefficient kGemmCoefficients[] = {{"latency_s", K::kLatency, 4e-6},
                                             {"flops_per_s", K::kFlops, 5e14},
                                             {"bytes_per_s", K::kBandwidth, 2e12},
                                             {"p", K::kShape, 2.4}};
// Times per element follow the processors and not the memory: the H100's are the H200's, but for the append's bytes.
constexpr Coefficient kPrefillCoefficients[] = {{"latency_s", K::kLatency, 1e-5},
                                                {"unpacked_latency", K::kShape, 0.8},
                                                {"block_128_s", K::kPerSm, 1.5e-6},
                                                {"block_64_over_128", K::kShape, 1},
                                                {"tile_128_s", K::kPerSm, 1e-6},
                                                {"tile_64_over_128", K::kShape, 2},
                                                {"longest_row", K::kShape, 0.7},
                                                {"last_wave", K::kShape, 0.3},
                                                {"slowdown", K::kShape, 0.3},
                                                {"slowdown_blocks", K::kShape, 1e4},
                                                {"element_s", K::kPerSm, 9e-13},
                                                {"odd_group_s", K::kPerSm, 6e-13},
                                                {"append_lane_s", K::kPerSm, 8e-12},
                                                {"append_power", K::kShape, 1.3},
                                                {"append_element_s", K::kPerUnit, 2e-12},
                                                {"split_element_s", K::kPerSm, 1e-12},
                                                {"spill_s", K::kLatency, 1e-5},
                                                {"spill_elements", K::kShape, 1.6e7}};
constexpr Coefficient kDecodeCoefficients[] = {
    {"latency_s", K::kLatency, 1e-5}, {"per_sequence_s", K::kPerUnit, 2e-8}, {"per_unit_s", K::kPerUnit, 5e-9},
    {"bytes_per_s", K::kBandwidth, 2e12}, {"few_units", K::kShape, 0.02}, {"p", K::kShape, 2.0}};

constexpr Coefficient kPrefillRowsCoefficients[] = {{"latency_s", K::kLatency, 1e-6},
                                                    {"pair_s", K::kPerSm, 1e-8},
                                                    {"row_s", K::kPerSm, 1e-7},
                                                    {"block_s", K::kPerSm, 1e-7}};

// From kernels/gemm/block.hpp and common/simd.cpp: a tile of rows times one column, over one of k; loose rows, in such
// tiles; columns beyond groups of four, in columns; an output, and what of k fills no vector of eight. Blocks of rows
// pass over the weights one after the other.
constexpr Coefficient kGemmRowsCoefficients[] = {{"latency_s", K::kLatency, 2e-7},
                                                 {"output_s", K::kPerSm, 2e-9},
                                                 {"tile_s", K::kPerSm, 1e-10},
                                                 {"one_loose", K::kShape, 0.5},
                                                 {"more_loose", K::kShape, 0.7},
                                                 {"loose_column", K::kShape, 3},
                                                 {"loose_element_s", K::kPerSm, 5e-10},
                                                 {"bytes_per_s", K::kBandwidth, 2e10},
                                                 {"p", K::kShape, 2}};
constexpr Coefficient kExpertsCoefficients[] = {
    {"latency_s", K::kLatency, 2e-7}, {"expert_s", K::kLatency, 2e-7}, {"output_s", K::kPerSm, 2e-9},
    {"tile_s", K::kPerSm, 1e-10},     {"loose", K::kShape, 0.5},       {"bytes_per_s", K::kBandwidth, 2e10},
    {"p", K::kShape, 2}};

constexpr std::string_view kGemmShape[] = {"m", "n", "k"};
constexpr std::string_view kPrefillShape[] = {"batch", "q", "context", "heads", "kv_heads", "head_dim"};
constexpr std::string_view kDecodeShape[] = {"batch", "context", "heads", "kv_heads", "head_dim"};
constexpr std::string_view kExpertsShape[] = {"tokens", "n", "k", "experts", "top_k"};
constexpr std::string_view kGemmFeatures[] = {"m", "n", "k"};
constexpr std::string_view kPrefillFeatures[] = {"batch*heads", "sqrt(2*pairs)", "heads/kv_heads", "head_dim"};
constexpr std::string_view kPrefillRowsFeatures[] = {"batch", "sqrt(2*pairs)", "q"};
constexpr std::string_view kDecodeFeatures[] = {"batch*kv_heads", "context", "heads/kv_heads", "head_dim", "kv_heads"};

double gemm_seconds(std::span<const double> t, const Shape& x) {
  return t[0] + p_norm(law_flops(Op::kGemm, x) / t[1], law_bytes(Op::kGemm, x) / t[2], t[3]);
}

/// Rows that the CPU's product takes over the weights at once.
double block_rows(double m) { return m <= 1 ? 1 : m <= 64 ? 64 : 48; }

/// Tiles of `tile` rows that m rows make, loose ones for what they cost.
double tiles_of_rows(double m, double tile, double one_loose, double more_loose) {
  const double block = block_rows(m), blocks = std::floor(m / block);
  const auto of = [&](double rows) {
    const double full = std::floor(rows / tile), loose = rows - full * tile;
    return full + (loose == 0 ? 0 : loose <= 1 ? one_loose : more_loose);
  };
  return blocks * of(block) + of(m - blocks * block);
}

double gemm_rows_seconds(std::span<const double> t, double tile, const Shape& x) {
  const double m = x[0], n = x[1], k = x[2], passes = std::ceil(m / block_rows(m));
  const double loose_n = n - 4 * std::floor(n / 4), loose_k = k - 8 * std::floor(k / 8);
  const double columns = n - loose_n + t[5] * loose_n;
  const double arithmetic = t[2] * tiles_of_rows(m, tile, t[3], t[4]) * columns * (k - loose_k);
  return t[0] + (t[1] + t[6] * loose_k) * m * n + p_norm(arithmetic, 4 * passes * n * k / t[7], t[8]);
}

/// Rows of an expert are a matter of chance, so that as many are loose as there are experts touched, on average.
double experts_seconds(std::span<const double> t, double tile, const Shape& x) {
  const auto [tokens, n, k, experts, top_k, unused] = x;
  const double rows = tokens * top_k, touched = touched_experts(tokens, experts, top_k);
  const double arithmetic = t[3] * (rows / tile + t[4] * touched) * n * k;
  const double passes = std::max(touched, rows / block_rows(rows / touched));
  return t[0] + t[1] * touched + t[2] * rows * n + p_norm(arithmetic, 4 * passes * n * k / t[5], t[6]);
}

struct PrefillLaw {  // in the order of kPrefillCoefficients
  double latency, unpacked, block_128, block_64_over_128, tile_128, tile_64_over_128, longest_row, last_wave, slowdown;
  double slowdown_blocks, element, odd_group, append_lane, append_power, append_element, split_element, spill;
  double spill_elements;
};

/// How FlashAttention-3 cuts causal attention: tiles of query rows, the heads of a group packed into them, each over
/// the blocks of keys that its last row sees (hopper/tile_size.h, heuristics.h, from memory; the tables bear it out).
struct Tiles {
  double count, blocks, rows, longest;   ///< tiles; key blocks over all tiles; ... of the longest; without old context
  bool split;                            ///< keys of a call are shared out, and partial results combined
};

Tiles tiles_of(const Shape& x, double sm_count) {
  const auto [batch, q, context, heads, kv_heads, head_dim] = x;
  const double group = heads / kv_heads, height = head_dim > 64 ? 128 : 192;
  const double keys = std::ceil(q / kKeyBlock), tiles = kv_heads * std::ceil(q * group / height);
  // A tile counts what its last row sees. Tiles of 192 rows lie across the edges of key blocks, on average by a third.
  const double below = 0.5 * kKeyBlock * keys * (keys - 1) / q, across = (height > kKeyBlock ? keys - 1 : 0) / 3;
  const double blocks = tiles * (keys - below + context / kKeyBlock) + kv_heads * across;
  const bool split = tiles < kSplitBelow * sm_count && std::ceil((context + q) / kKeyBlock) > kSplitBlocks;
  return {batch * tiles, batch * blocks, keys, split ? keys : keys + context / kKeyBlock, split};
}

/// KV append, then attention. Attention is the mean load of the processors (slower when long: the power limit), plus
/// what the longest row or the last wave adds to it, plus moving queries and outputs; once what is touched leaves the
/// cache there is a constant more.
double prefill_seconds(std::span<const double> t, double sm_count, const Shape& x) {
  const PrefillLaw c{t[0], t[1],  t[2],  t[3],  t[4],  t[5],  t[6],  t[7],  t[8],
                     t[9], t[10], t[11], t[12], t[13], t[14], t[15], t[16], t[17]};
  const auto [batch, q, context, heads, kv_heads, head_dim] = x;
  const double tokens = batch * q, width = kv_heads * head_dim, elements = tokens * heads * head_dim;
  const Tiles tile = tiles_of(x, sm_count);
  const double block_s = head_dim > 64 ? c.block_128 * head_dim / 128 : c.block_128 * c.block_64_over_128;
  const double tile_s = head_dim > 64 ? c.tile_128 * head_dim / 128 : c.tile_128 * c.tile_64_over_128;

  const double waves = tile.count / sm_count, blocks = tile.blocks / sm_count;
  const double load = blocks * block_s * (1 + c.slowdown * blocks / (blocks + c.slowdown_blocks)) + waves * tile_s;
  const double longest = tile.longest * block_s + tile_s, shortest = std::ceil(waves) * (block_s + tile_s);
  const double uneven = c.longest_row * std::max(0.0, std::max(longest, shortest) - load) +
                        c.last_wave * (std::ceil(waves) - waves) * load / waves;

  const double group = heads / kv_heads;
  const bool even = group == 1 || group == 2 || group == 4 || group == 8 || group == kGroupRows;
  const double moved = elements * (c.element + (even ? 0 : c.odd_group) + (tile.split ? c.split_element : 0));
  // Of wider thread blocks fewer are resident at once.
  const double filled = std::min(width, kAppendLanes) / kAppendLanes;
  const double lanes = kAppendLanes * fast_exp2(c.append_power * fast_log2(filled));
  const double append = tokens * (c.append_lane * lanes + c.append_element * width);
  const double touched = (elements + 2 * tokens * width) / c.spill_elements;
  const double full = touched * touched * touched * touched * touched * touched;
  return c.latency * (group == 1 ? c.unpacked : 1) + append + load + uneven + moved + c.spill * full / (1 + full);
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
  if (op == Op::kGemmRows) return kGemmRowsCoefficients;
  if (op == Op::kExperts) return kExpertsCoefficients;
  return kDecodeCoefficients;
}

std::span<const std::string_view> shape_names(Op op) {
  if (op == Op::kGemm || op == Op::kGemmRows) return kGemmShape;
  if (op == Op::kExperts) return kExpertsShape;
  if (op == Op::kPrefill || op == Op::kPrefillRows) return kPrefillShape;
  return kDecodeShape;
}

std::span<const std::string_view> feature_names(Op op) {
  if (op == Op::kGemm || op == Op::kGemmRows) return kGemmFeatures;
  if (op == Op::kExperts) return kExpertsShape;
  if (op == Op::kPrefill) return kPrefillFeatures;
  if (op == Op::kPrefillRows) return kPrefillRowsFeatures;
  return kDecodeFeatures;
}

double law_seconds(Op op, std::span<const double> theta, double sm_count, const Shape& x) {
  if (op == Op::kGemm) return gemm_seconds(theta, x);
  if (op == Op::kPrefill) return prefill_seconds(theta, sm_count, x);
  if (op == Op::kPrefillRows) return prefill_rows_seconds(theta, x);
  if (op == Op::kGemmRows) return gemm_rows_seconds(theta, sm_count, x);
  if (op == Op::kExperts) return experts_seconds(theta, sm_count, x);
  return decode_seconds(theta, sm_count, x);
}

Features features(Op op, const Shape& x) {
  if (op == Op::kGemm || op == Op::kGemmRows) return {fast_log2(x[0]), fast_log2(x[1]), fast_log2(x[2])};
  if (op == Op::kExperts)
    return {fast_log2(x[0]), fast_log2(x[1]), fast_log2(x[2]), fast_log2(x[3]), fast_log2(x[4])};
  if (op == Op::kPrefill) {
    // A chunk behind a context has the residual of the whole prompt with as many query-key pairs.
    return {fast_log2(x[0] * x[3]), 0.5 * fast_log2(x[1] * (x[1] + 2 * x[2])), fast_log2(x[3] / x[4]), fast_log2(x[5])};
  }
  if (op == Op::kPrefillRows) return {fast_log2(x[0]), 0.5 * fast_log2(x[1] * (x[1] + 2 * x[2])), fast_log2(x[1])};
  return {fast_log2(x[0] * x[3]), fast_log2(x[1]), fast_log2(x[2] / x[3]), fast_log2(x[4]), fast_log2(x[3])};
}

double touched_experts(double tokens, double experts, double top_k) {
  if (top_k >= experts) return experts;
  return experts * (1 - fast_exp2(tokens * fast_log2(1 - top_k / experts)));
}

double law_flops(Op op, const Shape& x) {
  if (op == Op::kExperts) return 2 * x[0] * x[4] * x[1] * x[2];
  if (op == Op::kGemm || op == Op::kGemmRows) return 2 * x[0] * x[1] * x[2];
  if (op == Op::kPrefill || op == Op::kPrefillRows) return 4 * x[0] * x[3] * x[5] * x[1] * (x[2] + 0.5 * x[1]);
  return 4 * x[0] * x[1] * x[2] * x[4];
}

double law_bytes(Op op, const Shape& x) {
  if (op == Op::kExperts)
    return 2 * (touched_experts(x[0], x[3], x[4]) * x[1] * x[2] + x[0] * x[4] * (x[1] + x[2]));
  if (op == Op::kGemm || op == Op::kGemmRows) return 2 * (x[0] * x[2] + x[2] * x[1] + x[0] * x[1]);
  if (op == Op::kPrefill || op == Op::kPrefillRows) return 4 * x[0] * x[5] * (x[3] * x[1] + x[4] * (x[2] + x[1]));
  return 4 * x[0] * x[4] * (x[1] * x[3] + x[2]);
}

}  // namespace orrery
