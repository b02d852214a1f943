/// Kernels, KV format and KV layout other than those that a device's tables were measured with, as factors on the
/// fitted operators. No GPU of ours has measured them: every factor is a published figure, a bound of a paper's card,
/// or assumed, and `notes()` says which. What the tables have (the device's own attention kernels, cuBLAS, 16-bit paged
/// KV) costs exactly what they say.
///
///   Variants v{.kernels = {.attention = Kernels::Attention::kFa2}, .format = {.name = KvFormat::Name::kKivi, .bits =
///   2}}; VariantCost cost(v, hardware);                   // throws ConfigError: fa3 where there are no such figures
///   double t = cost.decode_seconds({64, 2000, 32, 8, 128});
///
/// Immutable, O(1) a call. The ledger's part (bytes of a token, tokens of a block) is in kv_capacity.hpp.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/hardware.hpp"
#include "sim/base/units.hpp"
#include "sim/config/describe.hpp"
#include "sim/cost.hpp"

namespace orrery {

struct Kernels {
  enum class Attention : std::uint8_t { kDevice, kFa2, kFa3, kFa3Fp8 };   ///< prefill; kDevice: what the tables have
  enum class Softmax : std::uint8_t { kSync, kUnifiedMax };               ///< of split-KV decode (FlashDecoding++)
  enum class Gemm : std::uint8_t { kCublas, kAuto, kFlat, kGemv };        ///< kAuto: the fastest of the three
  Attention attention = Attention::kDevice;
  Softmax softmax = Softmax::kSync;
  Gemm gemm = Gemm::kCublas;
};
void describe(Describer&, Kernels&);

struct KvFormat {
  enum class Name : std::uint8_t { kFp16, kFp8, kKivi };
  Name name = Name::kFp16;
  std::int64_t bits = 2, group = 32, residual = 128;   ///< of kKivi

  /// Of a token outside the residual window, scales included; `full`: bytes of an unquantised value.
  double bytes_per_value(double full) const;
  /// Tokens of a sequence that are kept unquantised, on average over its length: KIVI keeps the last 1 to `residual`
  /// keys and the last `residual` values.
  double mean_residual() const { return name == Name::kKivi ? 0.75 * static_cast<double>(residual) : 0; }
};
void describe(Describer&, KvFormat&);

struct KvLayout {
  enum class Name : std::uint8_t { kPaged, kContiguous, kVirtual };
  Name name = Name::kPaged;
  Bytes page_group{2 << 20};         ///< of kVirtual: bytes mapped at once, in each layer for keys and for values
  bool premap = true;                ///< of kVirtual: mapped before a step needs them, so that none waits
  double paged_slowdown = 0;         ///< prefill attention over paged KV over the same over contiguous; 0: as published
  bool concatenated = false;         ///< appending a token makes the cache anew (torch.cat); not of kVirtual

  /// Page groups are powers of two: "2MB" in a config, 2,000,000 bytes, means 2 MiB.
  std::int64_t group_bytes() const {
    return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(page_group.value())));
  }
};
void describe(Describer&, KvLayout&);

struct Variants {
  Kernels kernels{};
  KvFormat format{};
  KvLayout layout{};
};

/// Tokens of one block of a virtually contiguous pool: what a page group holds of a layer's keys. Throws ConfigError if
/// it holds none.
std::int64_t virtual_block_tokens(const KvLayout& layout, const KvFormat& format, std::int64_t kv_heads,
                                  std::int64_t head_dim, double full_bytes);

class VariantCost {
 public:
  VariantCost(const Variants& variants, const Hardware& hardware);

  double gemm_seconds(double m, double n, double k) const;
  double prefill_seconds(const Shape& x) const;
  double decode_seconds(const Shape& x) const;
  /// Mapping of page groups that steps wait for, for each token computed, over `tensors` keys and values of all layers.
  double map_seconds_per_token(std::int64_t block_tokens, std::int64_t tensors) const;
  /// Memory traffic of quantising a token's keys and values, `values` of them.
  double append_bytes(double values) const;

  Grade grade() const { return grade_; }                       ///< of what was chosen, not better than the device's
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void attention_of(Kernels::Attention wanted);
  double paged_slowdown() const;
  double concatenation_seconds(const Shape& x, double recent) const;
  double measured_dequantisation() const;   ///< 0: not on this device
  void note(Grade grade, std::string text);

  Variants variants_;
  const Hardware* hardware_;
  Grade grade_;
  std::vector<std::string> notes_;
};

/// How much faster a causal forward pass of FlashAttention-3 is than FlashAttention-2's on an H100, by head size and
/// length (FlashAttention-3, figures 5 and 6: fp16, 16k tokens in all).
double fa3_over_fa2(double head_dim, double length);

}  // namespace orrery
