/// The CPU backend of the sweep: the fp32 kernels of kernels/, one thread, its CPU time.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "calibrate/clock.hpp"
#include "calibrate/live/cpu_device.hpp"
#include "calibrate/live/live_step_engine.hpp"
#include "calibrate/sweep/backend.hpp"
#include "calibrate/sweep/cpu_probe.hpp"
#include "calibrate/sweep/scattered_tables.hpp"
#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/attention_mixed/attention_mixed.hpp"
#include "kernels/attention_prefill/attention_prefill.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/copy_blocks/copy_blocks.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/grouped_gemm/grouped_gemm.hpp"
#include "kernels/kv_quant/fp8_kv.hpp"
#include "kernels/kv_quant/kivi.hpp"
#include "kernels/rmsnorm/rmsnorm.hpp"
#include "kernels/rope_append/rope_append.hpp"
#include "kernels/swiglu/swiglu.hpp"
#include "kernels/virtual_kv/virtual_kv.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

constexpr std::size_t kArenaFloats = std::size_t{3} << 21;  // 25 MB, or the largest matrix of the model
constexpr std::int32_t kPage = 16;

std::int64_t whole(double x) { return static_cast<std::int64_t>(x); }
std::int32_t small(double x) { return static_cast<std::int32_t>(x); }

/// Random numbers that all trials share as weights, inputs and caches, so that preparing one is cheap: points are
/// visited many times. Buffers of a trial lie in it one behind the other and are used in turn, over as much memory as
/// the model's weights take: what a step finds in the caches of its processor, a launch is to find there.
class Arena {
 public:
  Arena(std::size_t model_floats, std::size_t largest)
      : floats_(std::max(kArenaFloats, largest)), turns_(std::min(model_floats, floats_.size())) {
    Rng rng(1, Purpose::kWeights, 1);
    for (float& v : floats_) v = static_cast<float>(rng.uniform() - 0.5);
  }
  /// The buffer of this turn, of `floats`.
  float* at(std::size_t turn, std::size_t floats) {
    return floats_.data() + floats * (turn % std::max<std::size_t>(1, turns_ / floats));
  }
  float* behind(std::size_t offset) { return floats_.data() + offset; }

 private:
  std::vector<float> floats_;
  std::size_t turns_;
};

class CpuTrial : public Trial {
 public:
  CpuTrial() {
    static std::size_t trials = 0;
    turn_ = static_cast<std::size_t>(mix64(++trials) % 100003);   // another part of the arena each visit
  }
  double run(std::int64_t launches) override {
    const double begin = thread_cpu_seconds();
    for (std::int64_t i = 0; i < launches; ++i) launch(turn_++);
    return thread_cpu_seconds() - begin;
  }

 protected:
  virtual void launch(std::size_t turn) = 0;

 private:
  std::size_t turn_ = 0;
};

class GemmTrial final : public CpuTrial {
 public:
  GemmTrial(Arena& arena, const Shape& x)
      : arena_(arena), m_(whole(x[0])), n_(whole(x[1])), k_(whole(x[2])), y_(static_cast<std::size_t>(m_ * n_)) {}

 private:
  void launch(std::size_t turn) override {
    gemm(GemmArgs<float>{.x = arena_.behind(0),
                         .w = arena_.at(turn, static_cast<std::size_t>(n_ * k_)),
                         .y = y_.data(),
                         .m = m_,
                         .n = n_,
                         .k = k_});
  }
  Arena& arena_;
  std::int64_t m_, n_, k_;
  std::vector<float> y_;
};

/// Products of a mixture: each token's rows with the matrices of the experts drawn for it, other ones each visit.
class ExpertsTrial final : public CpuTrial {
 public:
  ExpertsTrial(Arena& arena, const Shape& x)
      : arena_(arena), n_(whole(x[1])), k_(whole(x[2])), experts_(small(x[3])), top_k_(small(x[4])),
        y_(static_cast<std::size_t>(x[0] * x[4]) * static_cast<std::size_t>(n_)) {
    static std::uint64_t visits = 0;
    Rng rng(++visits, Purpose::kWeights, 2);
    std::vector<std::int32_t> ids;
    for (std::int64_t t = 0; t < whole(x[0]); ++t) {
      std::vector<std::int32_t> all(static_cast<std::size_t>(experts_));
      std::iota(all.begin(), all.end(), 0);
      for (std::int32_t i = 0; i < top_k_; ++i) {
        std::swap(all[static_cast<std::size_t>(i)],
                  all[static_cast<std::size_t>(i) + rng.below(static_cast<std::uint64_t>(experts_ - i))]);
        ids.push_back(all[static_cast<std::size_t>(i)]);
      }
    }
    routing_ = group_by_expert(ids, experts_);
  }

 private:
  void launch(std::size_t turn) override {
    grouped_gemm(GroupedGemmArgs<float>{.x = arena_.behind(0),
                                        .w = arena_.at(turn, static_cast<std::size_t>(experts_ * n_ * k_)),
                                        .y = y_.data(),
                                        .offsets = routing_.offsets.data(),
                                        .source = routing_.source.data(),
                                        .experts = experts_,
                                        .top_k = top_k_,
                                        .n = n_,
                                        .k = k_});
  }
  Arena& arena_;
  std::int64_t n_, k_;
  std::int32_t experts_, top_k_;
  Routing routing_;
  std::vector<float> y_;
};

/// What a mixture of experts does beside its products: the choice, grouping by expert, the weighted sum.
class RouteTrial final : public CpuTrial {
 public:
  RouteTrial(Arena& arena, std::int64_t tokens, const ModelShape& m)
      : arena_(arena), tokens_(tokens), n_(m.hidden), experts_(small(static_cast<double>(m.experts))),
        top_k_(small(static_cast<double>(m.top_k))), ids_(static_cast<std::size_t>(tokens * m.top_k)),
        weights_(ids_.size()), out_(static_cast<std::size_t>(tokens * m.hidden)) {}

 private:
  void launch(std::size_t turn) override {
    route_top_k(RouteArgs<float>{arena_.at(turn, static_cast<std::size_t>(tokens_ * experts_)), ids_.data(),
                                 weights_.data(), tokens_, experts_, top_k_});
    const Routing routing = group_by_expert(ids_, experts_);
    combine_experts(CombineArgs<float>{arena_.behind(0), routing.place.data(), weights_.data(), out_.data(), tokens_,
                                       top_k_, n_});
  }
  Arena& arena_;
  std::int64_t tokens_, n_;
  std::int32_t experts_, top_k_;
  std::vector<std::int32_t> ids_;
  std::vector<float> weights_, out_;
};

/// Paged keys and values, of another pool each turn; pages lie in random order, as after some time of serving. No page
/// that nobody reads lies between them: turns would pass over less memory than it seems, and find it in a nearer cache.
struct Pools {
  Pools(Arena& arena_, const std::vector<std::int64_t>& tokens, std::int32_t kv_heads_, std::int32_t head_dim_)
      : arena(arena_), kv_heads(kv_heads_), head_dim(head_dim_) {
    std::size_t pages = 0;
    for (const std::int64_t t : tokens) {
      max_pages = std::max(max_pages, small(static_cast<double>(ceil_div(t, kPage))));
      pages += static_cast<std::size_t>(ceil_div(t, kPage));
    }
    each = pages * kPage * static_cast<std::size_t>(kv_heads * head_dim);
    table = scattered_tables(tokens, kPage, max_pages);
  }
  PagedKv<float> at(std::size_t turn) {
    float* const k = arena.at(turn, 2 * each);
    return {k, k + each, table.data(), max_pages, kPage, kv_heads, head_dim};
  }
  Arena& arena;
  std::int32_t kv_heads, head_dim, max_pages = 1;
  std::size_t each = 0;
  std::vector<std::int32_t> table;
};

class DecodeTrial final : public CpuTrial {
 public:
  DecodeTrial(Arena& arena, const std::vector<std::int64_t>& contexts, std::int32_t heads, std::int32_t kv_heads,
              std::int32_t d)
      : pools_(arena, contexts, kv_heads, d),
        length_(contexts.begin(), contexts.end()),
        plan_(plan_decode({.contexts = length_, .kv_heads = kv_heads, .block = kKvBlock, .rule = SplitRule::kNone})),
        space_(plan_, heads, d),
        out_(contexts.size() * static_cast<std::size_t>(heads * d)) {
    args_.rows = {.q = arena.behind(0),
                  .out = out_.data(),
                  .kv_len = length_.data(),
                  .batch = small(static_cast<double>(length_.size())),
                  .heads = heads,
                  .kv_heads = kv_heads,
                  .head_dim = d,
                  .q_stride = 0,
                  .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d))),
                  .tiles = plan_.tiles.data(),
                  .tile_count = static_cast<std::int64_t>(plan_.tiles.size()),
                  .partials = space_.partials()};
  }

 private:
  void launch(std::size_t turn) override {
    args_.kv = pools_.at(turn);
    attention_decode(args_);
  }
  Pools pools_;
  std::vector<std::int32_t> length_;
  LaunchPlan plan_;
  SplitSpace<float> space_;
  std::vector<float> out_;
  DecodeArgs<float> args_;
};

/// The same over fp8 or KIVI's codes, or with a maximum chosen beforehand. Codes lie in the arena; KIVI's scales do not
/// move, they are few.
class VariantTrial final : public CpuTrial {
 public:
  VariantTrial(Arena& arena, const Shape& x)
      : variant_(static_cast<DecodeVariant>(whole(x[5]))),
        batch_(static_cast<std::size_t>(x[0])),
        kv_heads_(small(x[3])),
        d_(small(x[4])),
        pools_(arena, std::vector<std::int64_t>(batch_, whole(x[1])), kv_heads_, d_),
        length_(batch_, small(x[1])),
        plan_(plan_decode({.contexts = length_, .kv_heads = kv_heads_, .block = kKvBlock, .rule = SplitRule::kNone})),
        space_(plan_, small(x[2]), d_),
        out_(batch_ * static_cast<std::size_t>(x[2] * x[4])),
        scale_(static_cast<std::size_t>(kv_heads_), 0.01F) {
    rows_ = {.q = arena.behind(0),
             .out = out_.data(),
             .kv_len = length_.data(),
             .batch = small(x[0]),
             .heads = small(x[2]),
             .kv_heads = kv_heads_,
             .head_dim = d_,
             .q_stride = 0,
             .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d_))),
             .tiles = plan_.tiles.data(),
             .tile_count = static_cast<std::int64_t>(plan_.tiles.size()),
             .partials = space_.partials()};
    if (variant_ == DecodeVariant::kUnifiedMax) {
      rows_.softmax = SoftmaxMode::kUnified;
      rows_.outside = space_.outside();
    }
    constexpr std::uint16_t kHundredth = 0x211F, kMinusTenth = 0xAE66;  // 0.01 and -0.1 in 16 bits
    kivi_pages_ = ceil_div(whole(x[1]), kKiviGroup);
    const auto groups = batch_ * static_cast<std::size_t>(kivi_pages_ * kv_heads_ * d_);
    step_.assign(groups, Half{kHundredth});
    zero_.assign(groups, Half{kMinusTenth});
    for (std::int64_t p = 0; p < static_cast<std::int64_t>(batch_) * kivi_pages_; ++p)
      kivi_table_.push_back(small(static_cast<double>(p)));
  }

 private:
  void launch(std::size_t turn) override {
    const PagedKv<float> kv = pools_.at(turn);
    auto* const k = reinterpret_cast<std::uint8_t*>(kv.k);
    auto* const v = reinterpret_cast<std::uint8_t*>(kv.v);
    if (variant_ == DecodeVariant::kUnifiedMax) {
      attention_decode(DecodeArgs<float>{rows_, kv});
    } else if (variant_ == DecodeVariant::kFp8) {
      const PagedKv<Fp8> codes{reinterpret_cast<Fp8*>(k),
                               reinterpret_cast<Fp8*>(v),
                               kv.table,
                               kv.max_pages,
                               kv.page_tokens,
                               kv.kv_heads,
                               kv.head_dim};
      fp8_decode(Fp8DecodeArgs<float>{rows_, codes, scale_.data(), scale_.data()});
    } else {
      const int bits = variant_ == DecodeVariant::kKivi4 ? 4 : 2;
      kivi_decode(KiviDecodeArgs<float>{rows_,
                                        {.k_codes = k,
                                         .k_scale = step_.data(),
                                         .k_zero = zero_.data(),
                                         .v_codes = v,
                                         .v_scale = step_.data(),
                                         .v_zero = zero_.data(),
                                         .k_recent = recent_.data(),
                                         .v_recent = recent_.data(),
                                         .table = kivi_table_.data(),
                                         .max_pages = small(static_cast<double>(kivi_pages_)),
                                         .kv_heads = kv_heads_,
                                         .head_dim = d_,
                                         .bits = bits,
                                         .residual = small(kSweptResidual)}});
    }
  }
  DecodeVariant variant_;
  std::size_t batch_;
  std::int32_t kv_heads_, d_;
  Pools pools_;
  std::vector<std::int32_t> length_, kivi_table_;
  LaunchPlan plan_;
  SplitSpace<float> space_;
  std::vector<float> out_, scale_;
  DecodeRows<float> rows_;
  std::int64_t kivi_pages_ = 1;
  std::vector<Half> step_, zero_;
  std::vector<float> recent_ =
      std::vector<float>(batch_ * static_cast<std::size_t>(kSweptResidual * kv_heads_ * d_), 0.25F);
};

class PrefillTrial final : public CpuTrial {
 public:
  PrefillTrial(Arena& arena, const Shape& x)
      : arena_(arena), batch_(static_cast<std::size_t>(x[0])), heads_(small(x[3])), d_(small(x[5])),
        pools_(arena, std::vector<std::int64_t>(batch_, whole(x[1] + x[2])), small(x[4]), d_),
        queries_(batch_, small(x[1])), context_(batch_, small(x[2])),
        plan_(plan_prefill({.queries = queries_, .contexts = context_, .kv_heads = small(x[4]), .block = kKvBlock})),
        out_(batch_ * static_cast<std::size_t>(x[1]) * static_cast<std::size_t>(heads_ * d_)) {
    for (std::size_t i = 0; i <= batch_; ++i) offset_.push_back(small(static_cast<double>(i) * x[1]));
  }

 private:
  void launch(std::size_t turn) override {
    attention_prefill(PrefillArgs<float>{.q = arena_.behind(0),
                                         .out = out_.data(),
                                         .q_offset = offset_.data(),
                                         .context = context_.data(),
                                         .kv = pools_.at(turn),
                                         .sequences = small(static_cast<double>(batch_)),
                                         .heads = heads_,
                                         .q_stride = 0,
                                         .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d_))),
                                         .tiles = plan_.tiles.data(),
                                         .tile_count = static_cast<std::int64_t>(plan_.tiles.size())});
  }
  Arena& arena_;
  std::size_t batch_;
  std::int32_t heads_, d_;
  Pools pools_;
  std::vector<std::int32_t> queries_, context_, offset_;
  LaunchPlan plan_;
  std::vector<float> out_;
};

/// A chunk and decodes in one launch.
class MixedTrial final : public CpuTrial {
 public:
  MixedTrial(Arena& arena, const SweepPoint& p)
      : chunk_(p.batch.chunks.front()),
        heads_(small(p.x[2])),
        d_(small(p.x[4])),
        pools_(arena, tokens_of(p), small(p.x[3]), d_),
        queries_{small(static_cast<double>(chunk_.q.value()))},
        context_{small(static_cast<double>(chunk_.context.value()))},
        offset_{0, queries_[0]},
        length_(lengths_of(p)),
        decodes_(
            plan_decode({.contexts = length_, .kv_heads = small(p.x[3]), .block = kKvBlock, .rule = SplitRule::kNone})),
        plan_(plan_mixed(
            plan_prefill({.queries = queries_, .contexts = context_, .kv_heads = small(p.x[3]), .block = kKvBlock}),
            decodes_)),
        space_(decodes_, heads_, d_),
        out_((length_.size() + static_cast<std::size_t>(queries_[0])) * static_cast<std::size_t>(heads_ * d_)) {
    const float* const q = arena.behind(0);
    const std::int64_t first = std::int64_t{queries_[0]} * heads_ * d_;      // decode rows follow the chunk
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d_)));
    args_.prefill = {.q = q, .out = out_.data(), .q_offset = offset_.data(), .context = context_.data(), .kv = {},
                     .sequences = 1, .heads = heads_, .q_stride = 0, .scale = scale};
    args_.decode.rows = {.q = q + first,
                         .out = out_.data() + first,
                         .kv_len = length_.data(),
                         .batch = small(static_cast<double>(length_.size())),
                         .heads = heads_,
                         .kv_heads = small(p.x[3]),
                         .head_dim = d_,
                         .q_stride = 0,
                         .scale = scale,
                         .partials = space_.partials()};
    args_.tiles = plan_.tiles.data();
    args_.tile_count = static_cast<std::int64_t>(plan_.tiles.size());
  }

 private:
  static std::vector<std::int64_t> tokens_of(const SweepPoint& p) {
    const ChunkShape& c = p.batch.chunks.front();
    std::vector<std::int64_t> out{c.context.value() + c.q.value()};
    for (const Tokens t : p.batch.decodes) out.push_back(t.value());
    return out;
  }
  static std::vector<std::int32_t> lengths_of(const SweepPoint& p) {
    std::vector<std::int32_t> out;
    for (const Tokens t : p.batch.decodes) out.push_back(small(static_cast<double>(t.value())));
    return out;
  }
  void launch(std::size_t turn) override {
    args_.prefill.kv = args_.decode.kv = pools_.at(turn);
    args_.decode.kv.table += args_.decode.kv.max_pages;                      // the chunk's table is the first
    attention_mixed(args_);
  }
  ChunkShape chunk_;
  std::int32_t heads_, d_;
  Pools pools_;
  std::vector<std::int32_t> queries_, context_, offset_, length_;
  LaunchPlan decodes_, plan_;
  SplitSpace<float> space_;
  std::vector<float> out_;
  MixedArgs<float> args_;
};

class NormTrial final : public CpuTrial {
 public:
  NormTrial(Arena& arena, std::int64_t rows, std::int64_t dim)
      : arena_(arena),
        rows_(rows),
        dim_(dim),
        residual_(static_cast<std::size_t>(rows * dim), 0.5F),
        out_(residual_.size()) {}

 private:
  void launch(std::size_t) override {
    rmsnorm(RmsNormArgs<float>{arena_.behind(0), residual_.data(), arena_.behind(0), out_.data(), rows_, dim_});
  }
  Arena& arena_;
  std::int64_t rows_, dim_;
  std::vector<float> residual_, out_;
};

class ActivationTrial final : public CpuTrial {
 public:
  ActivationTrial(Arena& arena, std::int64_t rows, std::int64_t dim)
      : arena_(arena), rows_(rows), dim_(dim), out_(static_cast<std::size_t>(rows * dim)) {}

 private:
  void launch(std::size_t) override { swiglu(SwigluArgs<float>{arena_.behind(0), out_.data(), rows_, dim_}); }
  Arena& arena_;
  std::int64_t rows_, dim_;
  std::vector<float> out_;
};

class RopeTrial final : public CpuTrial {
 public:
  RopeTrial(Arena& arena, std::int64_t rows, std::int32_t heads, std::int32_t kv_heads, std::int32_t d)
      : rows_(rows),
        heads_(heads),
        stride_((heads + 2 * kv_heads) * d),
        rope_(rows, d, 500000),
        pools_(arena, {rows}, kv_heads, d),
        qkv_(arena.behind(0), arena.behind(static_cast<std::size_t>(rows * stride_))),
        sequence_(static_cast<std::size_t>(rows)),
        position_(sequence_.size()) {
    std::iota(position_.begin(), position_.end(), 0);
    keys_ = std::int64_t{heads} * d;
    values_ = keys_ + std::int64_t{kv_heads} * d;
  }

 private:
  void launch(std::size_t turn) override {
    rope_append(RopeAppendArgs<float>{.q = qkv_.data(),
                                      .k = qkv_.data() + keys_,
                                      .v = qkv_.data() + values_,
                                      .sequence = sequence_.data(),
                                      .position = position_.data(),
                                      .kv = pools_.at(turn),
                                      .cosine = rope_.cosine(),
                                      .sine = rope_.sine(),
                                      .tokens = rows_,
                                      .heads = heads_,
                                      .stride = stride_});
  }
  std::int64_t rows_;
  std::int32_t heads_;
  std::int64_t stride_, keys_ = 0, values_ = 0;
  RopeTable<float> rope_;
  Pools pools_;
  std::vector<float> qkv_;
  std::vector<std::int32_t> sequence_, position_;
};

/// Blocks of 4 kB between two pools, as swapping copies them.
class CopyTrial final : public CpuTrial {
 public:
  explicit CopyTrial(double bytes) : from_(static_cast<std::size_t>(bytes)), to_(from_.size()) {
    for (std::int64_t b = 0; b < whole(bytes) / kBlock; ++b) pairs_.insert(pairs_.end(), {b, b});
  }

 private:
  static constexpr std::int64_t kBlock = 4096;
  void launch(std::size_t) override {
    const void* source = from_.data();
    void* target = to_.data();
    copy_blocks({.source = &source, .target = &target, .tensors = 1, .pairs = pairs_.data(),
                 .count = static_cast<std::int64_t>(pairs_.size() / 2), .block_bytes = kBlock});
  }
  std::vector<char> from_, to_;
  std::vector<std::int64_t> pairs_;
};

/// Page groups of 64 kB mapped for one sequence; giving them back is not timed.
class MapTrial final : public Trial {
 public:
  MapTrial(const ModelShape& m, double groups)
      : blocks_(std::max<std::int64_t>(1, whole(groups) / (2 * m.layers))),
        groups_(blocks_ * 2 * m.layers),
        pool_({.layers = small(static_cast<double>(m.layers)),
               .slots = 1,
               .max_tokens = blocks_ * (65536 / (4 * m.kv_heads * m.head_dim)),
               .kv_heads = small(static_cast<double>(m.kv_heads)),
               .head_dim = small(static_cast<double>(m.head_dim)),
               .page_groups = groups_}) {}

  /// Of x[0] groups, as the point says; the pool maps whole blocks.
  double run(std::int64_t launches) override {
    double seconds = 0;
    for (std::int64_t i = 0; i < launches; ++i) {
      const int slot = pool_.acquire(1);
      const double begin = thread_cpu_seconds();
      pool_.ensure(slot, blocks_ * pool_.block_tokens());
      seconds += thread_cpu_seconds() - begin;
      pool_.release(slot);
      pool_.reclaim();
    }
    return seconds;
  }

 private:
  std::int64_t blocks_, groups_;
  VirtualKv pool_;
};

class CpuBackend final : public SweepBackend {
 public:
  CpuBackend(const ModelShape& model, const SweepOptions& o)
      : model_(model),
        device_(make_cpu_device(live_model_of(model), {})),
        engine_(*device_, {.max_sequences = o.max_sequences, .max_context = o.max_context}),
        arena_(static_cast<std::size_t>(model.parameters()), largest_matrix(model)) {}

  std::string_view name() const override { return "cpu"; }
  Value machine() const override { return cpu_fingerprint(); }
  double value_bytes() const override { return 4; }
  std::int64_t row_tile() const override { return engine_.row_tile(); }
  double memory_bytes() const override { return cpu_memory_bytes(); }
  double units() const override { return 1; }
  SpeedOfLight probe() override { return probe_cpu(); }

  std::unique_ptr<Trial> prepare(const SweepPoint& p) override {
    const Shape& x = p.x;
    const auto dim = [&](std::int64_t n) { return static_cast<std::int32_t>(n); };
    switch (p.op) {
      case SweepOp::kGemm: return std::make_unique<GemmTrial>(arena_, x);
      case SweepOp::kPrefill: return std::make_unique<PrefillTrial>(arena_, x);
      case SweepOp::kDecode:
        return std::make_unique<DecodeTrial>(arena_,
                                             std::vector<std::int64_t>(static_cast<std::size_t>(x[0]), whole(x[1])),
                                             small(x[2]), small(x[3]), small(x[4]));
      case SweepOp::kRagged: {
        std::vector<std::int64_t> contexts;
        for (const Tokens t : p.batch.decodes) contexts.push_back(t.value());
        return std::make_unique<DecodeTrial>(arena_, contexts, small(x[2]), small(x[3]), small(x[4]));
      }
      case SweepOp::kNorm: return std::make_unique<NormTrial>(arena_, whole(x[0]), model_.hidden);
      case SweepOp::kRope:
        return std::make_unique<RopeTrial>(arena_, whole(x[0]), dim(model_.heads), dim(model_.kv_heads),
                                           dim(model_.head_dim));
      case SweepOp::kActivation:
        return std::make_unique<ActivationTrial>(arena_, whole(x[0]) * std::max<std::int64_t>(1, model_.top_k),
                                                 model_.ffn);
      case SweepOp::kExperts: return std::make_unique<ExpertsTrial>(arena_, x);
      case SweepOp::kRoute: return std::make_unique<RouteTrial>(arena_, whole(x[0]), model_);
      case SweepOp::kCopy: return std::make_unique<CopyTrial>(x[0]);
      case SweepOp::kMap: return std::make_unique<MapTrial>(model_, x[0]);
      case SweepOp::kVariant: return std::make_unique<VariantTrial>(arena_, x);
      case SweepOp::kMixed: return std::make_unique<MixedTrial>(arena_, p);
      case SweepOp::kStep: break;
    }
    return std::make_unique<StepTrial>(engine_, p.batch);
  }

 private:
  /// Numbers of the largest operand that a point takes in one piece.
  static std::size_t largest_matrix(const ModelShape& m) {
    const std::int64_t up = 2 * m.ffn * m.hidden * std::max<std::int64_t>(1, m.experts);
    return static_cast<std::size_t>(std::max(up, m.vocabulary * m.hidden));
  }

  ModelShape model_;
  std::unique_ptr<LiveDevice> device_;
  LiveStepEngine engine_;
  Arena arena_;
};

constexpr std::int64_t kLargestParameters = 100'000'000;  // 400 MB of fp32; a step takes a tenth of a second

}  // namespace

std::unique_ptr<SweepBackend> make_cpu_backend(const ModelShape& model, const SweepOptions& options) {
  if (model.parameters() > kLargestParameters) {
    throw ConfigError("model \"" + model.name + "\": too large for the CPU backend (" +
                      std::to_string(model.parameters() / 1'000'000) + " million parameters, at most 100)");
  }
  return std::make_unique<CpuBackend>(model, options);
}

}  // namespace orrery
