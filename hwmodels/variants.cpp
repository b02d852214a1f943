#include "hwmodels/variants.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/math.hpp"

namespace orrery {
namespace {

using Attention = Kernels::Attention;

// FlashDecoding++ (MLSys'24): asynchronous softmax against synchronised, its prefill and decode; share of rows that are
// computed again (more than 99.99 % of the scores lie in the band).
constexpr double kUnifiedPrefill = 1 / 1.05, kUnifiedDecode = 1 / 1.14, kOverflow = 1e-4;
// The same, section 4: a flat GEMM padded to 8 rows instead of 64 gains up to 52 %; none at 64 rows.
constexpr double kFlatGain = 1.52, kFlatRows = 64, kFlatPad = 8;
// Section 5, Llama-2-7B on an A100: cuBLAS reaches 82.15 % of FastGEMV with one row, FastGEMV 49.75 % of tensor cores
// with four. Between and beyond a power law.
constexpr double kGemvAtOne = 0.8215, kGemvAtFour = 1 / 0.4975;
// No kernel of these passes this share of the memory's data sheet.
constexpr double kReachable = 0.92;
// vAttention (ASPLOS'25): prefill attention of 192K tokens takes 7.0 s over paged KV, 5.5 s over contiguous (FA2).
constexpr double kPagedFa2 = 7.0 / 5.5;
// What a decode step of a concatenated cache copies, by the code of KIVI (models/llama_kivi.py at 04eeae0) and of the
// transformers it is compared with: 16 bits, all of it; KIVI, the values' codes each token (the keys' once a window),
// and of the windows the keys once and the values twice, which is 5/3 of the 3/4 that are full on average.
constexpr double kCopiedCodes = 0.5, kCopiedWindow = 5.0 / 3;
// Its driver calls for a page group of 2 MB: create, map, set access; and of 64 KB with its own driver.
constexpr double kMapLarge = 69e-6, kMapSmall = 8e-6, kLargeGroup = 2 << 20;
// Time over that of the bytes alone. KIVI: bound of the card (A13). fp8: the aim for our own kernel, not measured.
constexpr double kDequantKivi = 1.3, kDequantFp8 = 1.14;
// FlashAttention-3, table of section 4: 16k tokens, head size 128, forward without mask: 1008 over 648 TFLOP/s.
constexpr double kFp8OverFp16 = 1008.0 / 648;

constexpr std::array<double, 6> kHead128{292.0 / 191, 423.0 / 260, 521.0 / 298, 579.0 / 319, 602.0 / 333, 616.0 / 335};
constexpr std::array<double, 6> kHead64{197.0 / 180, 265.0 / 229, 334.0 / 262, 371.0 / 284, 420.0 / 295, 473.0 / 299};

}  // namespace

void describe(Describer& d, Kernels& k) {
  d.field("attention", k.attention,
          {{"device", static_cast<int>(Attention::kDevice)}, {"fa2", static_cast<int>(Attention::kFa2)},
           {"fa3", static_cast<int>(Attention::kFa3)}, {"fa3-fp8", static_cast<int>(Attention::kFa3Fp8)}},
          "Family of the prefill attention kernel; device: what the device's tables were measured with");
  d.field("softmax", k.softmax, {{"sync", 0}, {"unified-max", 1}},
          "Maximum of the softmax over the splits of a row: synchronised, or one chosen beforehand (FlashDecoding++)");
  d.field("gemm", k.gemm, {{"cublas", 0}, {"auto", 1}, {"flat", 2}, {"gemv", 3}},
          "Implementation of small GEMMs; auto: the fastest of the three (FlashDecoding++)");
}

void describe(Describer& d, KvFormat& f) {
  d.field("name", f.name, {{"fp16", 0}, {"fp8", 1}, {"kivi", 2}}, "Format of keys and values in memory");
  d.field("bits", f.bits, {2, 4}, "kivi: bits of a value");
  d.field("group", f.group, {16, 128}, "kivi: values that share a scale and a zero point", "values");
  d.field("residual", f.residual, {0, 4096}, "kivi: latest tokens of a sequence that stay unquantised", "tokens");
}

void describe(Describer& d, KvLayout& l) {
  d.field("name", l.name, {{"paged", 0}, {"contiguous", 1}, {"virtual-contiguous", 2}},
          "How a sequence's KV lies in memory as kernels see it");
  d.field("page_group", l.page_group, {4096, 1e9}, "virtual-contiguous: memory mapped at once");
  d.field("premap", l.premap, "virtual-contiguous: memory is mapped before a step needs it");
  d.field("paged_slowdown", l.paged_slowdown, {0, 10},
          "Prefill attention over paged KV, in times of the same over contiguous KV; 0: as published for the kernel");
  d.field("concatenated", l.concatenated,
          "Each new token's keys and values are concatenated to a new cache, as Hugging Face's transformers do; not "
          "virtual-contiguous");
}

double KvFormat::bytes_per_value(double full) const {
  if (name == Name::kFp8) return 1;
  if (name == Name::kKivi)
    return static_cast<double>(bits) / 8 + 4 / static_cast<double>(group);  // 16-bit scale and zero
  return full;
}

std::int64_t virtual_block_tokens(const KvLayout& layout, const KvFormat& format, std::int64_t kv_heads,
                                  std::int64_t head_dim, double full_bytes) {
  const double token = static_cast<double>(kv_heads * head_dim) * format.bytes_per_value(full_bytes);
  const auto tokens = static_cast<std::int64_t>(static_cast<double>(layout.group_bytes()) / token);
  if (tokens < 1) throw ConfigError("page_group: holds not one token of a layer's keys");
  return tokens;
}

double fa3_over_fa2(double head_dim, double length) {
  const auto& gain = head_dim <= 64 ? kHead64 : kHead128;
  const double at = std::clamp(fast_log2(length) - 9, 0.0, 5.0);
  const auto low = std::min<std::size_t>(static_cast<std::size_t>(at), 4);
  return gain[low] + (at - static_cast<double>(low)) * (gain[low + 1] - gain[low]);
}

VariantCost::VariantCost(const Variants& v, const Hardware& hardware)
    : variants_(v), hardware_(&hardware), grade_(hardware.grade) {
  attention_of(v.kernels.attention);
  if (v.kernels.softmax == Kernels::Softmax::kUnifiedMax && hardware.variants.unified_max == 0) {
    note(Grade::kDatasheet,
         "softmax unified-max: decode attention 1.14 times, prefill 1.05 times as fast, 1 in 10,000 rows "
         "again (FlashDecoding++, A100)");
  }
  if (v.kernels.gemm != Kernels::Gemm::kCublas && hardware.grade == Grade::kMeasured) {
    throw ConfigError("gemm: no figures of other implementations for " + hardware.name);
  }
  if (v.kernels.gemm != Kernels::Gemm::kCublas) {
    note(Grade::kDatasheet,
         "small GEMMs: flat at most 1.52 times, GEMV 1.22 times cuBLAS, at most 92 % of the memory's data "
         "sheet (FlashDecoding++, A100)");
  }
  if (v.format.name != KvFormat::Name::kFp16 && measured_dequantisation() > 0) {
    // nothing to add: measured on this device
  } else if (v.format.name == KvFormat::Name::kFp8) {
    note(Grade::kDatasheet, "KV fp8: half the bytes, dequantisation 1.14 times their time (assumed)");
  } else if (v.format.name == KvFormat::Name::kKivi) {
    note(Grade::kDatasheet,
         "KV kivi: bytes with scales and the residual window, dequantisation 1.3 times their time (bound of "
         "KIVI's card); prefill over quantised context costs as over 16-bit");
  }
  if (v.layout.name != KvLayout::Name::kPaged) {
    note(Grade::kDatasheet,
         "KV " + std::string(v.layout.name == KvLayout::Name::kVirtual ? "virtually contiguous" : "contiguous") +
             ": prefill attention without the slowdown of paging (FA2 1.27 times at 192K tokens, vAttention; "
             "other kernels: none known)");
  }
  if (v.layout.concatenated && v.layout.name == KvLayout::Name::kVirtual)
    throw ConfigError("concatenated: a virtually contiguous cache is appended to in place");
  if (v.layout.concatenated) {
    note(Grade::kDatasheet,
         "KV concatenated: a decode step reads and writes what it copies of the cache once more, at 92 % of the "
         "memory's data sheet (16-bit: all; kivi: the values' codes and the windows, as its code)");
  }
  if (v.layout.name == KvLayout::Name::kVirtual && !v.layout.premap && hardware.map_group_s == 0) {
    note(Grade::kDatasheet, "mapping: 69 us a page group of 2 MB, 8 us of 64 KB (vAttention, from memory)");
  }
}

void VariantCost::note(Grade grade, std::string text) {
  grade_ = std::max(grade_, grade);
  notes_.push_back(std::move(text));
}

void VariantCost::attention_of(Attention wanted) {
  if (wanted == Attention::kDevice) return;
  const std::string& own = hardware_->attention_family;
  const bool hopper = own == "fa3";
  if (own.empty() || (!hopper && wanted != Attention::kFa2)) {
    throw ConfigError("attention: " +
                      std::string(wanted == Attention::kFa2   ? "fa2"
                                  : wanted == Attention::kFa3 ? "fa3"
                                                              : "fa3-fp8") +
                      ": no figures for " + hardware_->name + (own.empty() ? "" : "; its tables have " + own));
  }
  if (hopper && wanted == Attention::kFa2) {
    note(Grade::kFitted,
         "attention fa2: the device's prefill attention slowed by FlashAttention-3's figures (H100, fp16, causal)");
  }
  if (wanted == Attention::kFa3Fp8) {
    note(Grade::kDatasheet,
         "attention fa3-fp8: 1.56 times fa3 at every length (FlashAttention-3, 16k tokens, head size 128)");
  }
}

double VariantCost::gemm_seconds(double m, double n, double k) const {
  const OperatorModel& table = hardware_->gemm;
  const double cublas = table.seconds({m, n, k});
  const Kernels::Gemm choice = variants_.kernels.gemm;
  if (choice == Kernels::Gemm::kCublas) return cublas;
  const auto not_below_memory = [&](double t, double rows, double slowest) {
    return std::max(
        t, std::min(slowest, law_bytes(Op::kGemm, {rows, n, k}) / (kReachable * hardware_->specs.memory_bytes_per_s)));
  };
  const double slope = fast_log2(kGemvAtFour / kGemvAtOne) / 2;
  const double gemv = not_below_memory(cublas * kGemvAtOne * fast_exp2(slope * fast_log2(m)), m, cublas);
  const double passes = std::ceil(m / kFlatRows),
               padded = std::min(kFlatRows, kFlatPad * std::ceil(m / passes / kFlatPad));
  const double gain = fast_exp2(fast_log2(kFlatGain) * (1 - fast_log2(padded / kFlatPad) / 3));
  const double one_pass = table.seconds({padded, n, k});
  const double flat = passes * not_below_memory(one_pass / gain, padded, one_pass);
  if (choice == Kernels::Gemm::kGemv) return gemv;
  if (choice == Kernels::Gemm::kFlat) return flat;
  return std::min({cublas, gemv, flat});
}

double VariantCost::paged_slowdown() const {
  if (variants_.layout.paged_slowdown > 0) return variants_.layout.paged_slowdown;
  const Attention a = variants_.kernels.attention;
  const bool fa2 = a == Attention::kFa2 || (a == Attention::kDevice && hardware_->attention_family == "fa2");
  return fa2 ? kPagedFa2 : 1;
}

double VariantCost::prefill_seconds(const Shape& x) const {
  double t = hardware_->prefill.seconds(x);
  const Attention wanted = variants_.kernels.attention;
  if (wanted == Attention::kFa2 && hardware_->attention_family == "fa3") {
    t *= fa3_over_fa2(x[5], fast_exp2(features(Op::kPrefill, x)[1]));
  }
  if (wanted == Attention::kFa3Fp8) t /= kFp8OverFp16;
  const bool unified = variants_.kernels.softmax == Kernels::Softmax::kUnifiedMax;
  if (unified && hardware_->variants.unified_max == 0) t *= kUnifiedPrefill;   // measured for decode alone
  if (variants_.layout.name != KvLayout::Name::kPaged) t /= paged_slowdown();
  return t;
}

double VariantCost::measured_dequantisation() const {
  const MeasuredVariants& m = hardware_->variants;
  if (variants_.format.name == KvFormat::Name::kFp8) return m.fp8;
  if (variants_.format.name != KvFormat::Name::kKivi) return 0;
  return variants_.format.bits == 4 ? m.kivi_4 : m.kivi_2;
}

double VariantCost::concatenation_seconds(const Shape& x, double recent) const {
  if (!variants_.layout.concatenated) return 0;
  const KvFormat& f = variants_.format;
  const double full = hardware_->specs.value_bytes, values = 2 * x[0] * x[3] * x[4];   // of a token, all sequences
  const bool kivi = f.name == KvFormat::Name::kKivi;
  const double copied = (x[1] - recent) * f.bytes_per_value(full) * (kivi ? kCopiedCodes : 1) +
                        recent * full * (kivi ? kCopiedWindow : 1);
  return 2 * values * copied / (kReachable * hardware_->specs.memory_bytes_per_s);
}

/// Where nothing was measured, a quantised cache takes as long as a shorter one with as many bytes, times what
/// dequantising adds.
double VariantCost::decode_seconds(const Shape& x) const {
  const KvFormat& f = variants_.format;
  const double recent = std::min(x[1], f.mean_residual()), full = hardware_->specs.value_bytes;
  double t = 0;
  if (const double measured = measured_dequantisation(); measured > 0) {
    t = hardware_->decode.seconds(x) * (1 + (measured - 1) * (1 - recent / x[1]));
  } else if (f.name == KvFormat::Name::kFp16) {
    t = hardware_->decode.seconds(x);
  } else {
    Shape read = x;
    read[1] = std::max(1.0, recent + (x[1] - recent) * f.bytes_per_value(full) / full);
    t = hardware_->decode.seconds(read) * (f.name == KvFormat::Name::kKivi ? kDequantKivi : kDequantFp8);
  }
  if (variants_.kernels.softmax == Kernels::Softmax::kUnifiedMax) {
    t *= hardware_->variants.unified_max > 0 ? hardware_->variants.unified_max : kUnifiedDecode + kOverflow;
  }
  return t + concatenation_seconds(x, recent);
}

double VariantCost::map_seconds_per_token(std::int64_t block_tokens, std::int64_t tensors) const {
  const KvLayout& l = variants_.layout;
  if (l.name != KvLayout::Name::kVirtual || l.premap) return 0;
  // Calls dominate: a power law between the two sizes that are known.
  const double slope = fast_log2(kMapLarge / kMapSmall) / 5,
               size = fast_log2(static_cast<double>(l.group_bytes()) / kLargeGroup);
  const double group = hardware_->map_group_s > 0 ? hardware_->map_group_s : kMapLarge * fast_exp2(slope * size);
  return group * static_cast<double>(tensors) / static_cast<double>(block_tokens);
}

double VariantCost::append_bytes(double values) const {
  if (variants_.format.name == KvFormat::Name::kFp16) return 0;
  const double full = hardware_->specs.value_bytes;
  return values * (full + variants_.format.bytes_per_value(full));
}

}  // namespace orrery
