#include "calibrate/sweep/point.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "calibrate/step/step_calibration.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// KV that the points of a GPU read at most, in tokens of a layer: 2 GB of Llama-3.1-8B's.
constexpr double kMostKvTokens = 524288;

class Planner {
 public:
  Planner(const ModelShape& m, const SweepOptions& o) : m_(m), o_(o), rng_(o.seed, Purpose::kFuzz, 31) {}

  std::vector<SweepPoint> points() {
    gemms();
    attention();
    variants();
    small_kernels();
    memory();
    steps();
    return std::move(points_);
  }

 private:
  double drawn(double low, double high) { return std::round(low * std::pow(high / low, rng_.uniform())); }
  std::size_t some(std::size_t all, std::size_t quick) const { return o_.quick ? quick : all; }
  void add(SweepOp op, Shape x, SweepUse use = SweepUse::kFit) { points_.push_back({op, use, x, {}, {}}); }

  /// The model's products over a dense grid of rows, both sides of tile edges; and shapes it does not have.
  void gemms() {
    const double hidden = static_cast<double>(m_.hidden), width = static_cast<double>(m_.heads * m_.head_dim);
    const double kv = static_cast<double>(2 * m_.kv_heads * m_.head_dim), ffn = static_cast<double>(m_.ffn);
    const double up = (m_.gated ? 2 : 1) * ffn;
    std::vector<std::pair<double, double>> shapes{{width + kv, hidden}, {hidden, width}};
    if (m_.experts > 0) shapes.emplace_back(static_cast<double>(m_.experts), hidden);
    else shapes.insert(shapes.end(), {{up, hidden}, {hidden, ffn}});
    shapes.emplace_back(static_cast<double>(m_.vocabulary), hidden);
    const std::vector<double> full{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 65, 96, 128, 129, 192, 256},
        few{1, 3, 8, 24, 65, 192},
        server{1,   2,   4,   8,   16,  24,  32,  48,  64,  65,  80,  96,  112,  128,  129,  160,
               192, 224, 256, 257, 320, 384, 512, 640, 768, 1024, 1536, 2048, 3072, 4096, 8192};
    for (const auto& [n, k] : shapes) {
      for (const double rows : o_.quick ? few : o_.gpu ? server : full) {
        if (n < 100000 || rows <= 256) add(SweepOp::kGemm, {rows, n, k});      // the head sees output rows only
      }
    }
    const double experts = static_cast<double>(m_.experts), top_k = static_cast<double>(m_.top_k);
    for (const double tokens : o_.quick ? few : o_.gpu ? server : full) {
      if (m_.experts == 0) break;
      add(SweepOp::kExperts, {tokens, up, hidden, experts, top_k});
      add(SweepOp::kExperts, {tokens, hidden, ffn, experts, top_k});
    }
    const auto even = [&](double low, double high) { return 64 * std::max(1.0, std::round(drawn(low, high) / 64)); };
    for (std::size_t i = 0; i < some(o_.gpu ? 200 : 60, 12); ++i) {
      if (o_.gpu) add(SweepOp::kGemm, {drawn(1, 8192), even(256, 16384), even(256, 16384)});
      else add(SweepOp::kGemm, {drawn(1, 256), drawn(128, 2048), drawn(128, 2048)});
    }
  }

  /// A context that a batch of such size finds room for.
  double within(double batch, double context) const { return std::min(context, std::floor(kMostKvTokens / batch)); }

  void attention() {
    const double heads = static_cast<double>(m_.heads), kv = static_cast<double>(m_.kv_heads),
                 d = static_cast<double>(m_.head_dim);
    const double longest = static_cast<double>(2 * o_.max_context);
    for (std::size_t i = 0; i < some(o_.gpu ? 150 : 60, 14); ++i) {
      const double q = drawn(2, static_cast<double>(2 * o_.token_budget)), context = i % 3 == 0 ? 0 : drawn(1, longest);
      add(SweepOp::kPrefill, {i % 4 == 0 ? drawn(1, 4) : 1, q, context, heads, kv, d});
    }
    const double most = static_cast<double>(o_.gpu ? 4 * o_.max_sequences : o_.max_sequences);
    for (std::size_t i = 0; i < some(o_.gpu ? 150 : 60, 14); ++i) {
      const double batch = drawn(1, most);
      add(SweepOp::kDecode, {batch, within(batch, drawn(1, longest)), heads, kv, d});
    }
    for (std::size_t i = 0; i < some(o_.gpu ? 60 : 20, 4); ++i) unequal(SweepOp::kRagged, longest);
    for (std::size_t i = 0; i < some(o_.gpu ? 40 : 15, 4); ++i) unequal(SweepOp::kMixed, longest);
  }

  /// What a mean context does not say; and a prompt's chunk in the same launch, which the two apart do not say.
  void unequal(SweepOp op, double longest) {
    const double heads = static_cast<double>(m_.heads), kv = static_cast<double>(m_.kv_heads),
                 d = static_cast<double>(m_.head_dim);
    SweepPoint p{op, SweepUse::kTest, {}, {}, {}};
    const double batch = drawn(2, static_cast<double>(o_.max_sequences)), typical = drawn(16, longest / 4);
    double sum = 0;
    for (double b = 0; b < batch; ++b) {
      p.batch.decodes.push_back(
          Tokens{static_cast<std::int64_t>(std::min(longest, drawn(std::max(1.0, typical / 4), 4 * typical)))});
      sum += static_cast<double>(p.batch.decodes.back().value());
    }
    p.x = {batch, sum / batch, heads, kv, d};
    if (op == SweepOp::kMixed) {
      const double q = drawn(16, static_cast<double>(o_.token_budget)), context = drawn(1, longest / 2);
      p.batch.chunks.push_back({Tokens{static_cast<std::int64_t>(context)}, Tokens{static_cast<std::int64_t>(q)}});
    }
    points_.push_back(std::move(p));
  }

  /// Kernels of the values of engine.kernels and engine.kv_format, over few shapes: one factor each comes of it.
  void variants() {
    const double heads = static_cast<double>(m_.heads), kv = static_cast<double>(m_.kv_heads);
    const double d = static_cast<double>(m_.head_dim);
    for (std::size_t i = 0; i < some(10, 4); ++i) {
      const double batch = drawn(1, static_cast<double>(o_.max_sequences));
      const double context = within(batch, drawn(64, static_cast<double>(2 * o_.max_context)));
      for (const DecodeVariant v : kDecodeVariants) {
        const bool kivi = v == DecodeVariant::kKivi4 || v == DecodeVariant::kKivi2;
        if (!kivi || m_.head_dim % 32 == 0)
          add(SweepOp::kVariant, {batch, context, heads, kv, d, static_cast<double>(v)});
      }
    }
  }

  void small_kernels() {
    for (double rows = 1; rows <= (o_.gpu ? 8192 : 256); rows *= 2) {
      for (const SweepOp op : {SweepOp::kNorm, SweepOp::kRope, SweepOp::kActivation}) add(op, {rows});
      if (m_.experts > 0) add(SweepOp::kRoute, {rows});
    }
  }

  void memory() {
    for (const double bytes : o_.gpu ? std::array{1048576.0, 16777216.0, 268435456.0}
                                     : std::array{65536.0, 1048576.0, 8388608.0}) add(SweepOp::kCopy, {bytes});
    for (const double groups : {8.0, 32.0}) add(SweepOp::kMap, {groups});
  }

  void step(StepBatch batch, SweepUse use, std::string_view family) {
    SweepPoint p{SweepOp::kStep, use, {}, std::move(batch), family};
    p.x = {static_cast<double>(p.batch.tokens()), static_cast<double>(p.batch.decodes.size()),
           static_cast<double>(p.batch.chunks.size())};
    points_.push_back(std::move(p));
  }

  /// Random batches to fit and to test; and lines along which one quantity changes, for tests alone.
  void steps() {
    StepCalibrationOptions s{.max_sequences = o_.max_sequences,
                             .token_budget = o_.token_budget,
                             .max_context = o_.max_context,
                             .batches = static_cast<int>(some(240, 60)),
                             .seed = o_.seed};
    for (StepBatch& b : random_batches(s)) step(std::move(b), SweepUse::kFit, "");
    s.batches = static_cast<int>(some(100, 20));
    s.seed = hash_combine(o_.seed, 1);
    for (StepBatch& b : random_batches(s)) step(std::move(b), SweepUse::kTest, "random");
    const std::int64_t middle = o_.max_context / 2;
    const auto along = [&](std::int64_t all, std::int64_t quick, std::int64_t step) {
      return o_.gpu ? std::max<std::int64_t>(1, all / 12) : o_.quick ? quick : step;
    };
    for (std::int64_t n = 1; n <= o_.max_sequences; n += along(o_.max_sequences, 7, 2)) {
      step({{}, std::vector<Tokens>(static_cast<std::size_t>(n), Tokens{middle})}, SweepUse::kTest, "decode batch");
    }
    for (std::int64_t c = 1; c <= o_.max_context; c += o_.quick ? o_.max_context / 4 : o_.max_context / 12) {
      step({{}, std::vector<Tokens>(8, Tokens{c})}, SweepUse::kTest, "decode context");
    }
    for (std::int64_t q = 1; q <= o_.token_budget; q += along(o_.token_budget, 40, 11))
      step({{{Tokens{}, Tokens{q}}}, {}}, SweepUse::kTest, "chunk");
  }

  const ModelShape& m_;
  const SweepOptions& o_;
  Rng rng_;
  std::vector<SweepPoint> points_;
};

std::vector<std::size_t> shuffled(std::size_t n, std::uint64_t seed) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Rng rng(seed, Purpose::kFuzz, 32);
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return order;
}

}  // namespace

SweepPlan plan_sweep(const ModelShape& model, const SweepOptions& o) {
  SweepPlan plan;
  plan.points = Planner(model, o).points();
  const auto drawn = shuffled(plan.points.size(), o.seed);
  for (std::size_t i = 0; i < std::min<std::size_t>(o.quick ? 8 : 20, drawn.size()); ++i)
    plan.sentinels.push_back(drawn[i]);
  const auto watch = [&](int pass) {
    for (const std::size_t p : plan.sentinels) plan.order.push_back({p, kSentinelVisits + pass});
  };
  watch(0);
  for (int visit = 0; visit < kVisits; ++visit) {
    if (visit == kVisits / 2) watch(1);
    for (const std::size_t p : shuffled(plan.points.size(), hash_combine(o.seed, static_cast<std::uint64_t>(visit)))) {
      plan.order.push_back({p, visit});
    }
  }
  watch(2);
  for (const SweepPoint& p : plan.points) {
    for (const char c : to_json(to_value(p), -1)) plan.hash = hash_combine(plan.hash, static_cast<std::uint64_t>(c));
  }
  for (const SweepEntry& e : plan.order)
    plan.hash = hash_combine(plan.hash, e.point * 4096 + static_cast<std::size_t>(e.visit));
  return plan;
}

Value to_value(const SweepPoint& p) {
  Value v = Value::object();
  v["op"] = name(p.op);
  v["use"] = p.use == SweepUse::kFit ? "fit" : "test";
  if (!p.family.empty()) v["family"] = p.family;
  Value x = Value::array();
  for (const double value : p.x) x.push_back(value);
  v["x"] = std::move(x);
  for (const ChunkShape& c : p.batch.chunks) {
    Value one = Value::array();
    one.push_back(c.context.value());
    one.push_back(c.q.value());
    v["chunks"].push_back(std::move(one));
  }
  for (const Tokens t : p.batch.decodes) v["decodes"].push_back(t.value());
  return v;
}

}  // namespace orrery
