/// What a sweep measures: points, each an operator with its shape or a whole step, and the plan of all of them, a pure
/// function of model, options and format version, so that an interrupted sweep finds its place again.
///
///   SweepPlan plan = plan_sweep(load_model("llama-tiny", {}), {});
///   for (const SweepEntry& e : plan.order) measure(plan.points[e.point]);
///
/// Every point is visited several times, each visit a sample, in rounds of random order: on a machine with neighbours
/// the speed changes over milliseconds and seconds, and samples taken in one go agree with each other and with nothing
/// else. Sentinels are measured before the first round, in the middle and at the end.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "calibrate/step/step_engine.hpp"
#include "hwmodels/laws.hpp"
#include "hwmodels/model.hpp"
#include "sim/config/value.hpp"

namespace orrery {

enum class SweepOp : std::uint8_t {
  kGemm,
  kPrefill,
  kDecode,
  kRagged,
  kNorm,
  kRope,
  kActivation,
  kCopy,
  kMap,
  kVariant,
  kMixed,
  kExperts,
  kRoute,
  kStep
};

constexpr std::string_view name(SweepOp op) {
  constexpr std::string_view names[] = {"gemm",       "prefill", "decode", "ragged decode",  "norm", "rope",
                                        "activation", "copy",    "map",    "decode variant", "mixed", "experts",
                                         "route",      "step"};
  return names[static_cast<std::size_t>(op)];
}

/// Decode attention with another softmax or over another KV format.
enum class DecodeVariant : std::uint8_t { kUnifiedMax, kFp8, kKivi4, kKivi2 };
inline constexpr std::array kDecodeVariants{DecodeVariant::kUnifiedMax, DecodeVariant::kFp8, DecodeVariant::kKivi4,
                                            DecodeVariant::kKivi2};
inline constexpr std::int64_t kSweptResidual = 32;      ///< of the KIVI points

enum class SweepUse : std::uint8_t { kFit, kTest };   ///< kTest: never seen by any fit

struct SweepPoint {
  SweepOp op = SweepOp::kGemm;
  SweepUse use = SweepUse::kFit;
  /// kGemm, kPrefill, kDecode, kExperts: as in laws.hpp. kRagged: batch, mean context. kNorm, kRope, kActivation and
  /// kRoute (choice of experts, grouping, combination): rows. kVariant: as kDecode, and the DecodeVariant as the sixth.
  /// kMixed: as kRagged, of the decodes beside the batch's chunk. kCopy: bytes. kMap: page groups. kStep: tokens,
  /// decodes, chunks (its batch is below).
  Shape x{};
  StepBatch batch;                 ///< of kStep and kMixed; the decodes of kRagged
  std::string_view family;         ///< of a kTest step: "random", "decode batch", "decode context", "chunk"
};

inline constexpr int kVisits = 7;                        ///< whose median counts
inline constexpr int kSentinelVisits = 1000;  ///< visits 1000, 1001, 1002: as a sentinel at start, middle, end

struct SweepEntry {
  std::size_t point;
  int visit;
  friend auto operator<=>(const SweepEntry&, const SweepEntry&) = default;
};

struct SweepOptions {
  bool quick = false;              ///< fewer points: for tests and a first look
  bool gpu = false;                ///< the rows, contexts and batches of a server; else those of one thread
  std::uint64_t seed = 1;
  std::int64_t max_sequences = 24, token_budget = 128, max_context = 512;   ///< of whole steps
};

struct SweepPlan {
  std::vector<SweepPoint> points;
  std::vector<SweepEntry> order;
  std::vector<std::size_t> sentinels;
  std::uint64_t hash = 0;          ///< of all of it
};

SweepPlan plan_sweep(const ModelShape& model, const SweepOptions& options);
Value to_value(const SweepPoint& point);

}  // namespace orrery
