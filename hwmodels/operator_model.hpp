/// The price of a step of an unquantised transformer, dense or with experts, on a device with fitted operators: the sum
/// of its operators over the layers of a stage, tensor-parallel all-reduces, and the engine's host terms.
///
///   OperatorCostModel model(load_model("llama-3.1-8b", {}), load_hardware("h200-sxm", {}), {.tp = 1, .pp = 1}, host);
///   StepRun r = model.price({&shape, 1}, 0);
///
/// A step = GEMMs of M = decodes + prefill rows, norms and other fused kernels, attention of the decodes, attention of
/// the chunks (one launch for all of them), language-model head over `outputs` rows, all-reduces, host terms. KV that
/// moves over PCIe overlaps the computation layer by layer: the longer of the two counts.
///
/// The decode step is *defined* as an integer function: for each batch size, affine in the total context between knots,
/// eight an octave, in whole picoseconds and nanojoules. So `first + j * step` is exact until the next knot (`valid`),
/// and everything is the same on every compiler and processor: tables are baked with sim/base/math.hpp alone, when
/// first used.
///
/// Cost of price(): ~10 ns for a decode step, ~40 ns with a chunk (tests/hwmodels/price_bench.cpp); ~50 us to bake a
/// batch size seen for the first time. Memory: ~10 kB a batch size seen. Called from one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "hwmodels/engine.hpp"
#include "hwmodels/hardware.hpp"
#include "hwmodels/model.hpp"
#include "hwmodels/variants.hpp"
#include "sim/cost.hpp"

namespace orrery {

struct Parallel { int tp = 1, pp = 1; };

/// Throws ConfigError if the model cannot be split this way.
void check_split(const ModelShape& model, Parallel parallel);
/// Throws ConfigError for a mixture of experts on a device without measured products of experts, or split over several.
void check_experts(const ModelShape& model, const Hardware& hardware, Parallel parallel);
/// Layers of a stage: as even as possible, the first stages take one more.
std::int64_t layers_of_stage(const ModelShape& model, Parallel parallel, int stage);

/// Kernels that a mixture of experts has beside a dense layer's small ones: routing, grouping, combination.
inline constexpr int kRoutingKernels = 3;
/// Values that the small kernels of a layer read or write a token: two norms with residual, rope, KV append,
/// activation; with experts, one activation each, and combination. Heads: of one device.
std::int64_t elementwise_values(const ModelShape& model, std::int64_t heads, std::int64_t kv_heads, std::int64_t tp);

class OperatorCostModel final : public CostModel {
 public:
  /// `block_tokens`: of the ledger, for the mapping of virtually contiguous KV.
  OperatorCostModel(ModelShape model, Hardware hardware, Parallel parallel, HostTerms host,
                    const Variants& variants = {}, std::int64_t block_tokens = 16);
  ~OperatorCostModel() override;

  StepRun price(std::span<const StepShape> members, int stage) const override;
  Duration hop(Tokens tokens) const override;
  Duration collectives(const StepShape& shape, int stage) const override;
  int stages() const override { return parallel_.pp; }

  /// The same with every operator's time multiplied by a draw from its fitted error: one normal draw of the logarithm
  /// for each GEMM shape, for each attention phase and for the links. Pure in (seed).
  std::unique_ptr<OperatorCostModel> perturbed(std::uint64_t seed) const;

  /// What no implementation can beat on this device: arithmetic at the peak rate or traffic at full bandwidth.
  Duration roofline(const StepShape& shape, int stage) const;

  int devices() const { return parallel_.tp * parallel_.pp; }
  double idle_watts() const { return hardware_->power.idle_w * devices(); }
  double peak_flops_per_s() const { return hardware_->specs.flops_per_s * devices(); }    ///< all devices (MFU)
  double peak_bytes_per_s() const { return hardware_->specs.memory_bytes_per_s * devices(); }
  const Hardware& hardware() const { return *hardware_; }
  const ModelShape& model() const { return model_; }
  const HostTerms& host() const { return host_; }
  const VariantCost& variant_cost() const { return variant_; }
  /// Seconds that mapping KV adds to a step, for each token computed.
  double map_seconds_per_token() const;

 private:
  enum Term : std::size_t { kQkv, kOut, kUp, kDown, kHead, kPrefillTerm, kDecodeTerm, kLinks, kTerms };
  struct Row;
  struct ChunkTable;
  struct Stage;

  OperatorCostModel(ModelShape model, std::shared_ptr<const Hardware> hardware, Parallel parallel, HostTerms host,
                    const Variants& variants, std::int64_t block_tokens, std::array<double, kTerms> factor);
  double gemm_seconds(Term term, double m, std::int64_t n, std::int64_t k) const;
  double experts_seconds(double tokens) const;
  double layer_seconds(double tokens) const;
  std::int64_t weight_bytes(const Stage& stage, std::int64_t tokens) const;
  double layer_links_seconds(double tokens) const;
  double head_links_seconds(double rows) const;
  double head_seconds(double rows) const;
  void bake_stage(Stage& stage) const;
  const Row& row(const Stage& stage, std::int64_t decodes) const;
  const ChunkTable& chunks(const Stage& stage, std::size_t level) const;
  std::unique_ptr<Row> bake_row(const Stage& stage, std::int64_t decodes) const;
  std::unique_ptr<ChunkTable> bake_chunks(const Stage& stage, std::size_t level) const;
  StepRun price_longest(std::span<const StepShape> members, int stage) const;
  StepRun price_decode(const StepShape& shape, const Stage& stage) const;
  StepRun price_mixed(const StepShape& shape, const Stage& stage) const;
  double chunk_alone(std::int64_t q, std::int64_t context, const Stage& stage, bool& in_range) const;
  double chunk_picoseconds(const StepShape& shape, const Stage& stage, bool& in_range) const;
  Duration transfer(const StepShape& shape) const;
  double nanojoules(double seconds, double flops, double bytes) const;

  ModelShape model_;
  std::shared_ptr<const Hardware> hardware_;
  Parallel parallel_;
  HostTerms host_;
  Variants variants_;
  VariantCost variant_;
  std::int64_t block_tokens_;
  std::array<double, kTerms> factor_;
  std::int64_t heads_ = 0, kv_heads_ = 0;   ///< of one device
  double value_bytes_ = 2, elementwise_bytes_per_s_ = 1;
  double active_w_ = 0, limit_w_ = 0, joules_per_flop_ = 0, joules_per_byte_ = 0;   ///< of all devices of a stage
  bool static_range_ = true;                ///< GEMM widths and the all-reduce are inside the fitted range
  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace orrery
