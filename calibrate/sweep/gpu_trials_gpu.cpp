#include "calibrate/sweep/gpu_trials.hpp"

#include <chrono>
#include <cmath>
#include <numeric>

#include "calibrate/sweep/scattered_tables.hpp"
#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "kernels/attention_mixed/attention_mixed_gpu.hpp"
#include "kernels/attention_prefill/attention_prefill_gpu.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#include "kernels/kv_quant/kv_quant_gpu.hpp"
#include "kernels/rmsnorm/rmsnorm_gpu.hpp"
#include "kernels/rope_append/rope_append_gpu.hpp"
#include "kernels/swiglu/swiglu_gpu.hpp"
#include "kernels/virtual_kv/virtual_kv.hpp"
#include "sim/base/rng.hpp"
#if defined(ORRERY_GPU_CUDA)
#include "kernels/virtual_kv/device_pages.hpp"
#endif

namespace orrery::ORRERY_GPU {
namespace {

constexpr std::int32_t kPage = 16;

std::int64_t whole(double x) { return static_cast<std::int64_t>(x); }
std::int32_t small(double x) { return static_cast<std::int32_t>(x); }
float scale_of(std::int32_t head_dim) { return static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim))); }

class GpuTrial : public Trial {
 public:
  explicit GpuTrial(GpuArena& arena) : arena_(arena) {
    static std::size_t trials = 0;
    turn_ = static_cast<std::size_t>(mix64(++trials) % 100003);   // another part of the arena each visit
  }
  double run(std::int64_t launches) override {
    return arena_.clock.seconds(launches, [&](std::int64_t) { launch(turn_++); });
  }

 protected:
  virtual void launch(std::size_t turn) = 0;
  Stream stream() const { return arena_.stream.get(); }
  GpuArena& arena_;

 private:
  std::size_t turn_ = 0;
};

/// A linear layer as the engine does it: the implementation that its table chooses.
class GemmTrial final : public GpuTrial {
 public:
  GemmTrial(GpuArena& arena, const Shape& x)
      : GpuTrial(arena), m_(whole(x[0])), n_(whole(x[1])), k_(whole(x[2])), y_(arena.out(m_ * n_)) {
    arena.product.reserve(n_, k_);
  }

 private:
  void launch(std::size_t turn) override {
    arena_.product.run({.x = arena_.at(0, m_ * k_), .w = arena_.at(turn, n_ * k_), .y = y_, .m = m_, .n = n_, .k = k_},
                       stream());
  }
  std::int64_t m_, n_, k_;
  Bf16* y_;
};

/// Pages in random order, as after some time of serving; another pool each turn.
class Pools {
 public:
  Pools(GpuArena& arena, const std::vector<std::int32_t>& tokens, std::int32_t kv_heads, std::int32_t head_dim)
      : arena_(arena), kv_heads_(kv_heads), head_dim_(head_dim) {
    std::int64_t pages = 0;
    for (const std::int32_t t : tokens) {
      max_pages_ = std::max(max_pages_, (t + kPage - 1) / kPage);
      pages += (t + kPage - 1) / kPage;
    }
    each_ = pages * kPage * kv_heads * head_dim;
    table_ =
        DeviceBuffer<std::int32_t>(scattered_tables({tokens.begin(), tokens.end()}, kPage, max_pages_), "block table");
  }
  PagedKv<Bf16> at(std::size_t turn) const {
    Bf16* const k = arena_.at(turn, 2 * each_);
    return {k, k + each_, table_.data(), max_pages_, kPage, kv_heads_, head_dim_};
  }

 private:
  GpuArena& arena_;
  std::int32_t kv_heads_, head_dim_, max_pages_ = 1;
  std::int64_t each_ = 0;
  DeviceBuffer<std::int32_t> table_;
};

/// Decode rows as the engine plans them.
class Rows {
 public:
  Rows(GpuArena& arena, const std::vector<std::int32_t>& contexts, std::int32_t heads, std::int32_t kv_heads,
       std::int32_t d)
      : length_(contexts, "lengths") {
    const LaunchPlan plan =
        plan_decode({.contexts = contexts, .kv_heads = kv_heads, .units = device_processors(), .block = kKvBlock});
    std::vector<std::int32_t> offset{0};
    for (const std::int32_t splits : plan.splits) offset.push_back(offset.back() + splits);
    tiles_ = DeviceBuffer<LaunchTile>(plan.tiles, "tiles");
    offset_ = DeviceBuffer<std::int32_t>(offset, "splits");
    const auto batch = static_cast<std::int64_t>(contexts.size());
    const std::int64_t parts = std::int64_t{offset.back()} * heads, width = std::int64_t{heads} * d;
    float* const partials = arena.partials(parts * (d + 2));
    args = {.q = arena.at(0, batch * width),
            .out = arena.out(batch * width),
            .kv_len = length_.data(),
            .batch = static_cast<std::int32_t>(batch),
            .heads = heads,
            .kv_heads = kv_heads,
            .head_dim = d,
            .q_stride = 0,
            .scale = scale_of(d),
            .tiles = tiles_.data(),
            .tile_count = static_cast<std::int64_t>(tiles_.size()),
            .partials = {partials, partials + parts * d, partials + parts * (d + 1), offset_.data()}};
  }
  DecodeRows<Bf16> args;

 private:
  DeviceBuffer<std::int32_t> length_, offset_;
  DeviceBuffer<LaunchTile> tiles_;
};

class DecodeTrial final : public GpuTrial {
 public:
  DecodeTrial(GpuArena& arena, const std::vector<std::int32_t>& contexts, std::int32_t heads, std::int32_t kv_heads,
              std::int32_t d)
      : GpuTrial(arena), pools_(arena, contexts, kv_heads, d), rows_(arena, contexts, heads, kv_heads, d) {}

 private:
  void launch(std::size_t turn) override { attention_decode({rows_.args, pools_.at(turn)}, stream()); }
  Pools pools_;
  Rows rows_;
};

/// The same with a maximum chosen beforehand, over fp8, or over KIVI's codes. Scales are few and do not move.
class VariantTrial final : public GpuTrial {
 public:
  VariantTrial(GpuArena& arena, const Shape& x)
      : GpuTrial(arena), variant_(static_cast<DecodeVariant>(whole(x[5]))), kv_heads_(small(x[3])), d_(small(x[4])),
        contexts_(static_cast<std::size_t>(x[0]), small(x[1])), pools_(arena, contexts_, kv_heads_, d_),
        rows_(arena, contexts_, small(x[2]), kv_heads_, d_), outside_(static_cast<std::size_t>(x[0] * x[2]), "outside"),
        scale_(std::vector<float>(static_cast<std::size_t>(kv_heads_), 0.01F), "scales") {
    if (variant_ == DecodeVariant::kUnifiedMax) {
      rows_.args.softmax = SoftmaxMode::kUnified;
      rows_.args.outside = outside_.data();
    }
    if (variant_ == DecodeVariant::kKivi4 || variant_ == DecodeVariant::kKivi2) kivi();
  }

 private:
  void kivi() {
    pages_ = (contexts_[0] + kKiviGroup - 1) / kKiviGroup;
    const std::size_t pages = contexts_.size() * static_cast<std::size_t>(pages_),
                      groups = pages * static_cast<std::size_t>(kv_heads_ * d_);
    std::vector<std::int32_t> table(pages);
    std::iota(table.begin(), table.end(), 0);
    table_ = DeviceBuffer<std::int32_t>(table, "pages");
    step_ = DeviceBuffer<Half>(groups, "scales");
    device_fill(step_.data(), 0x21, groups * sizeof(Half), nullptr);          // about 0.01
    recent_ =
        DeviceBuffer<Bf16>(contexts_.size() * static_cast<std::size_t>(kSweptResidual * kv_heads_ * d_), "recent");
    device_fill(recent_.data(), 0x3e, recent_.size() * sizeof(Bf16), nullptr);
  }
  void launch(std::size_t turn) override {
    const PagedKv<Bf16> kv = pools_.at(turn);
    if (variant_ == DecodeVariant::kUnifiedMax) return attention_decode({rows_.args, kv}, stream());
    auto* const k = reinterpret_cast<std::uint8_t*>(kv.k);
    auto* const v = reinterpret_cast<std::uint8_t*>(kv.v);
    if (variant_ == DecodeVariant::kFp8) {
      const PagedKv<Fp8> codes{reinterpret_cast<Fp8*>(k), reinterpret_cast<Fp8*>(v), kv.table,   kv.max_pages,
                               kv.page_tokens,            kv.kv_heads,               kv.head_dim};
      return fp8_decode({rows_.args, codes, scale_.data(), scale_.data()}, stream());
    }
    kivi_decode({rows_.args,
                 {.k_codes = k,
                  .k_scale = step_.data(),
                  .k_zero = step_.data(),
                  .v_codes = v,
                  .v_scale = step_.data(),
                  .v_zero = step_.data(),
                  .k_recent = recent_.data(),
                  .v_recent = recent_.data(),
                  .table = table_.data(),
                  .max_pages = pages_,
                  .kv_heads = kv_heads_,
                  .head_dim = d_,
                  .bits = variant_ == DecodeVariant::kKivi4 ? 4 : 2,
                  .residual = static_cast<std::int32_t>(kSweptResidual)}},
                stream());
  }

  DecodeVariant variant_;
  std::int32_t kv_heads_, d_, pages_ = 1;
  std::vector<std::int32_t> contexts_;
  Pools pools_;
  Rows rows_;
  DeviceBuffer<std::uint8_t> outside_;
  DeviceBuffer<float> scale_;
  DeviceBuffer<std::int32_t> table_;
  DeviceBuffer<Half> step_;
  DeviceBuffer<Bf16> recent_;
};

/// By warpgroups where the device has them, as the engine does.
class PrefillTrial final : public GpuTrial {
 public:
  PrefillTrial(GpuArena& arena, const Shape& x)
      : GpuTrial(arena), queries_(static_cast<std::size_t>(x[0]), small(x[1])), contexts_(queries_.size(), small(x[2])),
        heads_(small(x[3])), d_(small(x[5])), rows_(whole(x[0] * x[1])),
        pools_(arena, std::vector<std::int32_t>(queries_.size(), small(x[1] + x[2])), small(x[4]), d_),
        context_(contexts_, "contexts"), out_(arena.out(rows_ * heads_ * d_)) {
    std::vector<std::int32_t> offset{0};
    for (const std::int32_t q : queries_) offset.push_back(offset.back() + q);
    offset_ = DeviceBuffer<std::int32_t>(offset, "offsets");
    const LaunchPlan plan = plan_prefill({.queries = queries_, .contexts = contexts_, .kv_heads = small(x[4]),
                                          .block = kKvBlock, .rows = prefill_tile_tokens(heads_ / small(x[4]))});
    tiles_ = DeviceBuffer<LaunchTile>(plan.tiles, "tiles");
  }

 private:
  void launch(std::size_t turn) override {
    const PrefillArgs<Bf16> a{.q = arena_.at(0, rows_ * heads_ * d_),
                              .out = out_,
                              .q_offset = offset_.data(),
                              .context = context_.data(),
                              .kv = pools_.at(turn),
                              .sequences = static_cast<std::int32_t>(queries_.size()),
                              .heads = heads_,
                              .q_stride = 0,
                              .scale = scale_of(d_),
                              .tiles = tiles_.data(),
                              .tile_count = static_cast<std::int64_t>(tiles_.size())};
    if (prefill_warpgroups_can(a)) attention_prefill_warpgroups(a, rows_, stream());
    else attention_prefill(a, stream());
  }
  std::vector<std::int32_t> queries_, contexts_;
  std::int32_t heads_, d_;
  std::int64_t rows_;
  Pools pools_;
  DeviceBuffer<std::int32_t> context_, offset_;
  DeviceBuffer<LaunchTile> tiles_;
  Bf16* out_;
};

/// A chunk and decodes: by the mixed kernel, or, where prompts have kernels of their own, one after the other, as the
/// engine does.
class MixedTrial final : public GpuTrial {
 public:
  MixedTrial(GpuArena& arena, const SweepPoint& p)
      : GpuTrial(arena), queries_(small(static_cast<double>(p.batch.chunks.front().q.value()))),
        heads_(small(p.x[2])), kv_heads_(small(p.x[3])), d_(small(p.x[4])), pools_(arena, tokens_of(p), kv_heads_, d_),
        rows_(arena, lengths_of(p), heads_, kv_heads_, d_),
        context_(std::vector<std::int32_t>{tokens_of(p)[0] - queries_}, "contexts"),
        offset_(std::vector<std::int32_t>{0, queries_}, "offsets") {
    const std::vector<std::int32_t> q{queries_}, before{tokens_of(p)[0] - queries_}, lengths = lengths_of(p);
    const LaunchPlan prefill = plan_prefill({.queries = q, .contexts = before, .kv_heads = kv_heads_, .block = kKvBlock,
                                             .rows = prefill_tile_tokens(heads_ / kv_heads_)});
    const LaunchPlan decodes =
        plan_decode({.contexts = lengths, .kv_heads = kv_heads_, .units = device_processors(), .block = kKvBlock});
    prefill_tiles_ = DeviceBuffer<LaunchTile>(prefill.tiles, "tiles");
    tiles_ = DeviceBuffer<LaunchTile>(plan_mixed(prefill, decodes).tiles, "tiles");
    const std::int64_t width = std::int64_t{heads_} * d_, all = queries_ + static_cast<std::int64_t>(lengths.size());
    Bf16* const out = arena.out(all * width);
    args_.prefill = {.q = arena.at(0, all * width), .out = out, .q_offset = offset_.data(), .context = context_.data(),
                     .kv = {}, .sequences = 1, .heads = heads_, .q_stride = 0, .scale = scale_of(d_),
                     .tiles = prefill_tiles_.data(), .tile_count = static_cast<std::int64_t>(prefill.tiles.size())};
    args_.decode.rows = rows_.args;
    args_.decode.rows.q = args_.prefill.q + queries_ * width;
    args_.decode.rows.out = out + queries_ * width;
    args_.tiles = tiles_.data();
    args_.tile_count = static_cast<std::int64_t>(tiles_.size());
  }

 private:
  static std::vector<std::int32_t> lengths_of(const SweepPoint& p) {
    std::vector<std::int32_t> out;
    for (const Tokens t : p.batch.decodes) out.push_back(small(static_cast<double>(t.value())));
    return out;
  }
  static std::vector<std::int32_t> tokens_of(const SweepPoint& p) {
    std::vector<std::int32_t> out = lengths_of(p);
    const ChunkShape& c = p.batch.chunks.front();
    out.insert(out.begin(), small(static_cast<double>(c.context.value() + c.q.value())));
    return out;
  }
  void launch(std::size_t turn) override {
    args_.prefill.kv = args_.decode.kv = pools_.at(turn);
    args_.decode.kv.table += args_.decode.kv.max_pages;                      // the chunk's table is the first
    if (!prefill_warpgroups_can(args_.prefill)) return attention_mixed(args_, stream());
    attention_prefill_warpgroups(args_.prefill, queries_, stream());
    attention_decode(args_.decode, stream());
  }
  std::int32_t queries_, heads_, kv_heads_, d_;
  Pools pools_;
  Rows rows_;
  DeviceBuffer<std::int32_t> context_, offset_;
  DeviceBuffer<LaunchTile> prefill_tiles_, tiles_;
  MixedArgs<Bf16> args_;
};

/// The small kernels of a layer: a residual norm, rope with append, activation.
class SmallTrial final : public GpuTrial {
 public:
  SmallTrial(GpuArena& arena, const ModelShape& m, SweepOp op, std::int64_t rows)
      : GpuTrial(arena),
        op_(op),
        rows_(rows),
        hidden_(m.hidden),
        ffn_(m.ffn),
        heads_(small(static_cast<double>(m.heads))),
        kv_heads_(small(static_cast<double>(m.kv_heads))),
        d_(small(static_cast<double>(m.head_dim))),
        pools_(arena, {small(static_cast<double>(rows))}, kv_heads_, d_),
        out_(arena.out(rows * std::max<std::int64_t>(2 * hidden_, ffn_))) {
    if (op != SweepOp::kRope) return;
    std::vector<std::int32_t> position(static_cast<std::size_t>(rows));
    std::iota(position.begin(), position.end(), 0);
    position_ = DeviceBuffer<std::int32_t>(position, "positions");
    sequence_ = DeviceBuffer<std::int32_t>(std::vector<std::int32_t>(position.size()), "sequences");
    turns_ = DeviceBuffer<float>(std::vector<float>(static_cast<std::size_t>(rows * d_ / 2), 0.7F), "rope table");
  }

 private:
  void launch(std::size_t turn) override {
    if (op_ == SweepOp::kNorm) {
      return rmsnorm({.x = arena_.at(turn, rows_ * hidden_), .residual = out_, .weight = arena_.at(0, hidden_),
                      .out = out_ + rows_ * hidden_, .rows = rows_, .dim = hidden_}, stream());
    }
    if (op_ == SweepOp::kActivation)
      return swiglu({arena_.at(turn, 2 * rows_ * ffn_), out_, rows_, ffn_}, stream());
    const std::int64_t width = std::int64_t{heads_ + 2 * kv_heads_} * d_;
    Bf16* const q = arena_.at(turn, rows_ * width);                // turned in place: still numbers below one
    rope_append({.q = q, .k = q + std::int64_t{heads_} * d_, .v = q + std::int64_t{heads_ + kv_heads_} * d_,
                 .sequence = sequence_.data(), .position = position_.data(), .kv = pools_.at(turn + 1),
                 .cosine = turns_.data(), .sine = turns_.data(), .tokens = rows_, .heads = heads_, .stride = width},
                stream());
  }
  SweepOp op_;
  std::int64_t rows_, hidden_, ffn_;
  std::int32_t heads_, kv_heads_, d_;
  Pools pools_;
  DeviceBuffer<std::int32_t> position_, sequence_;
  DeviceBuffer<float> turns_;
  Bf16* out_;
};

/// Blocks of 64 kB that lie apart in pinned host memory, to the device, by its copy engine.
class CopyTrial final : public GpuTrial {
 public:
  CopyTrial(GpuArena& arena, double bytes) : GpuTrial(arena), host_(static_cast<std::size_t>(bytes)) {
    std::memset(host_.data(), 1, host_.size());
    for (std::int64_t b = 0; b < whole(bytes) / kBlock; ++b) pairs_.insert(pairs_.end(), {b, b});
  }

 private:
  static constexpr std::int64_t kBlock = 65536;
  void launch(std::size_t turn) override {
    const void* source = host_.data();
    void* target = arena_.at(turn, static_cast<std::int64_t>(host_.size() / sizeof(Bf16)));
    swap_blocks({.source = &source, .target = &target, .tensors = 1, .pairs = pairs_.data(),
                 .count = static_cast<std::int64_t>(pairs_.size() / 2), .block_bytes = kBlock}, stream());
  }
  PinnedBuffer<unsigned char> host_;
  std::vector<std::int64_t> pairs_;
};

/// Page groups of 2 MiB mapped for one sequence; the host's time, which is what a step waits for.
class MapTrial final : public Trial {
 public:
  MapTrial(const ModelShape& m, double groups)
      : blocks_(std::max<std::int64_t>(1, whole(groups) / (2 * m.layers))),
        pool_({.layers = small(static_cast<double>(m.layers)), .slots = 1,
               .max_tokens = blocks_ * (kGroup / (2 * m.kv_heads * m.head_dim)),
               .kv_heads = small(static_cast<double>(m.kv_heads)), .head_dim = small(static_cast<double>(m.head_dim)),
               .element_bytes = 2, .page_group_bytes = kGroup, .page_groups = blocks_ * 2 * m.layers}, maker()),
        share_(groups / static_cast<double>(blocks_ * 2 * m.layers)) {}

  double run(std::int64_t launches) override {
    double seconds = 0;
    for (std::int64_t i = 0; i < launches; ++i) {
      const int slot = pool_.acquire(1);
      const auto begin = std::chrono::steady_clock::now();
      pool_.ensure(slot, blocks_ * pool_.block_tokens());
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      pool_.release(slot);
      pool_.reclaim();
    }
    return share_ * seconds;                                       // of as many groups as the point has
  }

 private:
  static constexpr std::int64_t kGroup = 2 << 20;
  static MakePages maker() {
#if defined(ORRERY_GPU_CUDA)
    return device_pages;
#else
    return host_pages;
#endif
  }
  std::int64_t blocks_;
  VirtualKv pool_;
  double share_;
};

}  // namespace

std::unique_ptr<Trial> make_gpu_trial(GpuArena& arena, const ModelShape& model, const SweepPoint& p) {
  const Shape& x = p.x;
  switch (p.op) {
    case SweepOp::kGemm: return std::make_unique<GemmTrial>(arena, x);
    case SweepOp::kPrefill: return std::make_unique<PrefillTrial>(arena, x);
    case SweepOp::kDecode:
      return std::make_unique<DecodeTrial>(arena,
                                           std::vector<std::int32_t>(static_cast<std::size_t>(x[0]), small(x[1])),
                                           small(x[2]), small(x[3]), small(x[4]));
    case SweepOp::kRagged: {
      std::vector<std::int32_t> contexts;
      for (const Tokens t : p.batch.decodes) contexts.push_back(small(static_cast<double>(t.value())));
      return std::make_unique<DecodeTrial>(arena, contexts, small(x[2]), small(x[3]), small(x[4]));
    }
    case SweepOp::kNorm:
    case SweepOp::kRope:
    case SweepOp::kActivation: return std::make_unique<SmallTrial>(arena, model, p.op, whole(x[0]));
    case SweepOp::kCopy: return std::make_unique<CopyTrial>(arena, x[0]);
    case SweepOp::kMap: return std::make_unique<MapTrial>(model, x[0]);
    case SweepOp::kVariant: return std::make_unique<VariantTrial>(arena, x);
    case SweepOp::kMixed: return std::make_unique<MixedTrial>(arena, p);
    case SweepOp::kExperts:    // make_gpu_backend refuses them
    case SweepOp::kRoute:
    case SweepOp::kStep: break;
  }
  return nullptr;
}

}  // namespace orrery::ORRERY_GPU
