/// The GPU sweep's trials on the emulator, in small: every operator's launches have arguments that the kernels take.
/// Its times mean nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/sweep/gpu_backend.hpp"
#include "calibrate/sweep/protocol.hpp"

namespace orrery {
namespace {

ModelShape small_model() {
  ModelShape m;
  m.name = "small";
  m.layers = 1, m.hidden = 64, m.heads = 4, m.kv_heads = 2, m.head_dim = 64, m.ffn = 64, m.vocabulary = 128;
  m.max_position = 256;
  return m;
}

SweepPoint point(SweepOp op, Shape x) { return {op, SweepUse::kFit, x, {}, {}}; }

TEST(EmulatedSweep, EveryKindOfPointIsPreparedAndRun) {
  const auto backend =
      gpu::make_gpu_backend(small_model(), {.quick = true, .gpu = true, .max_sequences = 3, .max_context = 48});
  std::vector<SweepPoint> points{point(SweepOp::kGemm, {1, 64, 128}),
                                 point(SweepOp::kGemm, {9, 128, 64}),
                                 point(SweepOp::kGemm, {70, 64, 64}),
                                 point(SweepOp::kPrefill, {2, 33, 17, 4, 2, 64}),
                                 point(SweepOp::kPrefill, {1, 20, 0, 4, 2, 64}),
                                 point(SweepOp::kDecode, {3, 100, 4, 2, 64}),
                                 point(SweepOp::kDecode, {1, 700, 4, 2, 64}),
                                 point(SweepOp::kNorm, {4}),
                                 point(SweepOp::kRope, {20}),
                                 point(SweepOp::kActivation, {4}),
                                 point(SweepOp::kCopy, {262144}),
                                 point(SweepOp::kMap, {8})};
  for (const DecodeVariant v : kDecodeVariants)
    points.push_back(point(SweepOp::kVariant, {2, 90, 4, 2, 64, static_cast<double>(v)}));
  SweepPoint ragged = point(SweepOp::kRagged, {3, 40, 4, 2, 64});
  ragged.batch.decodes = {Tokens{5}, Tokens{100}, Tokens{15}};
  points.push_back(ragged);
  SweepPoint mixed = ragged;
  mixed.op = SweepOp::kMixed;
  mixed.batch.chunks = {{Tokens{20}, Tokens{30}}};
  points.push_back(mixed);
  SweepPoint step = point(SweepOp::kStep, {22, 2, 1});
  step.batch = {{{Tokens{4}, Tokens{20}}}, {Tokens{9}, Tokens{30}}};
  points.push_back(step);
  for (const SweepPoint& p : points) {
    const auto trial = backend->prepare(p);
    ASSERT_NE(trial, nullptr) << name(p.op);
    EXPECT_GT(trial->run(trial->repeats() ? 3 : 1), 0) << name(p.op);
  }
}

TEST(EmulatedSweep, TheDeviceSaysWhatItIs) {
  const auto backend =
      gpu::make_gpu_backend(small_model(), {.quick = true, .gpu = true, .max_sequences = 2, .max_context = 32});
  EXPECT_EQ(backend->machine().at("processor").as_string(), "emulated GPU");
  EXPECT_EQ(backend->value_bytes(), 2);
  EXPECT_EQ(backend->drift_limit(), 3);
  const SpeedOfLight light = backend->probe();
  EXPECT_DOUBLE_EQ(light.flops_per_s, 4 * 1e9 * 4096);
  EXPECT_DOUBLE_EQ(light.bytes_per_s, 2 * 1e9 * 32);
  EXPECT_FALSE(backend->power().has_value());
}

/// What is planned for a GPU fits its arena and its pool, and no point of the CPU's sweep has changed for it.
TEST(EmulatedSweep, AServersPointsFitTheDevice) {
  const ModelShape model = load_model("llama-3.1-8b", {});
  const SweepOptions o = sweep_options("cuda", model, false);
  EXPECT_LE(static_cast<double>(model.kv_bytes_per_token() * o.max_sequences * o.max_context), 36e9);
  const SweepPlan plan = plan_sweep(model, o);
  double largest = 0;
  for (const SweepPoint& p : plan.points) {
    const Shape& x = p.x;
    if (p.op == SweepOp::kGemm) {
      largest = std::max({largest, x[1] * x[2], x[0] * x[2]});
      EXPECT_LE(x[0] * x[1], 8192.0 * 32768);
    }
    if (p.op == SweepOp::kDecode || p.op == SweepOp::kVariant) {
      largest = std::max(largest, 2 * x[0] * (x[1] + 16) * x[3] * x[4]);
    }
    if (p.op == SweepOp::kPrefill) largest = std::max(largest, 2 * x[0] * (x[1] + x[2] + 16) * x[4] * x[5]);
    if (p.op == SweepOp::kRagged || p.op == SweepOp::kMixed) {
      double longest = 0;
      for (const Tokens t : p.batch.decodes) longest = std::max(longest, static_cast<double>(t.value()));
      largest = std::max(largest, 2 * x[0] * (longest + 16) * x[3] * x[4]);
    }
    if (p.op == SweepOp::kStep) { EXPECT_LE(p.batch.tokens(), o.token_budget + o.max_sequences); }
  }
  EXPECT_LE(largest, static_cast<double>(std::size_t{4} << 30) / 2);           // of two bytes each
  EXPECT_GT(plan.points.size(), 900u);
  EXPECT_LT(plan.points.size(), 1500u);
}

}  // namespace
}  // namespace orrery
