/// Kernels, KV formats and layouts: what the papers say of them, and that nothing chosen changes nothing.
#include "hwmodels/variants.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hwmodels/deployment.hpp"

namespace orrery {
namespace {

using Attention = Kernels::Attention;

const Hardware& h200() {
  static const Hardware h = load_hardware("h200-sxm", {});
  return h;
}
const Hardware& a100() {
  static const Hardware h = load_hardware("a100-80g", {});
  return h;
}

DeploymentRequest request(Variants v = {}, std::string model = "llama-2-7b", std::string hardware = "a100-80g") {
  DeploymentRequest r;
  r.model = std::move(model);
  r.hardware = std::move(hardware);
  r.variants = v;
  return r;
}

TEST(Variants, TheDefaultIsTheTableItself) {
  const VariantCost cost({}, h200());
  EXPECT_EQ(cost.gemm_seconds(7, 4096, 4096), h200().gemm.seconds({7, 4096, 4096}));
  EXPECT_EQ(cost.prefill_seconds({1, 2048, 100, 32, 8, 128}), h200().prefill.seconds({1, 2048, 100, 32, 8, 128}));
  EXPECT_EQ(cost.decode_seconds({16, 2048, 32, 8, 128}), h200().decode.seconds({16, 2048, 32, 8, 128}));
  EXPECT_EQ(cost.map_seconds_per_token(16, 64), 0);
  EXPECT_EQ(cost.append_bytes(1000), 0);
  EXPECT_EQ(cost.grade(), Grade::kFitted);
  EXPECT_TRUE(cost.notes().empty());
}

TEST(Variants, Fa2OnHopperIsSlowerByThePapersFigures) {
  const VariantCost cost({.kernels = {.attention = Attention::kFa2}}, h200());
  const auto ratio = [&](double q, double d) {
    const Shape x{1, q, 0, 32, 8, d};
    return cost.prefill_seconds(x) / h200().prefill.seconds(x);
  };
  EXPECT_NEAR(ratio(512, 128), 292.0 / 191, 1e-6);
  EXPECT_NEAR(ratio(4096, 128), 579.0 / 319, 1e-6);
  EXPECT_NEAR(ratio(131072, 128), 616.0 / 335, 1e-6);    // beyond the figure its end holds
  EXPECT_NEAR(ratio(8192, 64), 420.0 / 295, 1e-6);
  EXPECT_EQ(cost.grade(), Grade::kFitted);
  const VariantCost same({.kernels = {.attention = Attention::kFa3}}, h200());
  EXPECT_EQ(same.prefill_seconds({1, 512, 0, 32, 8, 128}), h200().prefill.seconds({1, 512, 0, 32, 8, 128}));
  EXPECT_TRUE(same.notes().empty());
}

TEST(Variants, FamiliesWithoutFiguresAreRefused) {
  EXPECT_THROW(VariantCost({.kernels = {.attention = Attention::kFa3}}, a100()), ConfigError);
  EXPECT_THROW(VariantCost({.kernels = {.attention = Attention::kFa3Fp8}}, a100()), ConfigError);
  EXPECT_THROW(VariantCost({.kernels = {.attention = Attention::kFa2}}, load_hardware("mi300x", {})), ConfigError);
  EXPECT_NO_THROW(VariantCost({.kernels = {.attention = Attention::kFa2}}, a100()));
}

TEST(Variants, UnifiedMaximumIsThePapersGainLessTheRowsThatAreRepeated) {
  const VariantCost cost({.kernels = {.softmax = Kernels::Softmax::kUnifiedMax}}, a100());
  const Shape x{32, 1024, 32, 32, 128};
  EXPECT_NEAR(a100().decode.seconds(x) / cost.decode_seconds(x), 1.14, 0.001);
  EXPECT_EQ(cost.grade(), Grade::kDatasheet);
}

/// FlashDecoding++ section 5, Llama-2-7B on an A100: GEMV wins at one row, tensor cores at four, cuBLAS when many.
TEST(Variants, AutoIsTheBestOfTheThree) {
  const auto with = [&](Kernels::Gemm g) { return VariantCost({.kernels = {.gemm = g}}, a100()); };
  const VariantCost best = with(Kernels::Gemm::kAuto), flat = with(Kernels::Gemm::kFlat),
                    gemv = with(Kernels::Gemm::kGemv);
  for (const auto& [n, k] : {std::pair{12288.0, 4096.0}, {4096.0, 4096.0}, {11008.0, 4096.0}, {4096.0, 11008.0}}) {
    for (double m = 1; m <= 512; m *= 2) {
      const double cublas = a100().gemm.seconds({m, n, k});
      EXPECT_EQ(best.gemm_seconds(m, n, k), std::min({cublas, flat.gemm_seconds(m, n, k), gemv.gemm_seconds(m, n, k)}));
      EXPECT_GE(best.gemm_seconds(m, n, k) * 1.53, cublas);
    }
    EXPECT_LT(gemv.gemm_seconds(1, n, k), a100().gemm.seconds({1, n, k}));
    EXPECT_GT(gemv.gemm_seconds(4, n, k), 1.9 * a100().gemm.seconds({4, n, k}));
    EXPECT_LT(flat.gemm_seconds(8, n, k), a100().gemm.seconds({8, n, k}));
    EXPECT_EQ(flat.gemm_seconds(1, n, k), flat.gemm_seconds(8, n, k));               // padded to 8
    EXPECT_NEAR(flat.gemm_seconds(128, n, k) / (2 * flat.gemm_seconds(64, n, k)), 1,
                1e-9);  // two passes over the weights
    EXPECT_EQ(best.gemm_seconds(512, n, k), a100().gemm.seconds({512, n, k}));
  }
  // No faster than memory: 2 m n k bytes at the data sheet's rate.
  EXPECT_GT(flat.gemm_seconds(8, 4096, 11008), 2 * 4096.0 * 11008 / a100().specs.memory_bytes_per_s);
}

TEST(Variants, BytesOfAFormatHaveItsScales) {
  EXPECT_EQ(KvFormat{}.bytes_per_value(2), 2);
  EXPECT_EQ(KvFormat{.name = KvFormat::Name::kFp8}.bytes_per_value(2), 1);
  EXPECT_EQ((KvFormat{.name = KvFormat::Name::kKivi, .bits = 2, .group = 32}.bytes_per_value(2)),
            0.375);  // 5.33 times less
  EXPECT_EQ((KvFormat{.name = KvFormat::Name::kKivi, .bits = 4, .group = 32}.bytes_per_value(2)), 0.625);
  EXPECT_EQ(kv_bytes_per_token(load_model("llama-3.1-8b", {}), {}, 2), 131072);
  EXPECT_EQ(kv_bytes_per_token(load_model("llama-3.1-8b", {}), {.name = KvFormat::Name::kKivi}, 2), 24576);
}

TEST(Variants, ResidualWindowsOfAllSequencesAreReserved) {
  DeploymentRequest r = request({.format = {.name = KvFormat::Name::kKivi, .bits = 2, .residual = 128}});
  r.memory.max_sequences = 100;
  const Deployment kivi = deploy(r);
  r.variants = {};
  const Deployment plain = deploy(r);
  const std::int64_t values = 2LL * 32 * 32 * 128;
  EXPECT_EQ(kivi.kv.kv_bytes_per_token * 16, plain.kv.kv_bytes_per_token * 3);
  EXPECT_EQ(kivi.kv.reserved_bytes - plain.kv.reserved_bytes, 100 * 128 * values * 13 / 8);   // 2 - 0.375 bytes
  EXPECT_GT(kivi.kv.blocks, 4 * plain.kv.blocks);
}

TEST(Variants, AQuantisedCacheReadsFewerBytesAndKeepsTheLatency) {
  const VariantCost kivi({.format = {.name = KvFormat::Name::kKivi, .bits = 2, .residual = 128}}, a100());
  const VariantCost fp8({.format = {.name = KvFormat::Name::kFp8}}, a100());
  const Shape large{64, 8192, 32, 32, 128}, small{1, 64, 32, 32, 128};
  const double full = a100().decode.seconds(large);
  EXPECT_NEAR(fp8.decode_seconds(large) / full, 0.57, 0.03);  // half the bytes, 1.14 times their time
  EXPECT_NEAR(kivi.decode_seconds(large) / full, 1.3 * (96 + 8096 * 0.1875) / 8192, 0.03);
  EXPECT_GT(kivi.decode_seconds(small), a100().decode.seconds(small));  // all in the window; dequantisation
  EXPECT_EQ(kivi.append_bytes(1000), 2375);
}

/// vAttention, section 5: 64 KB page groups of Llama-3-8B hold 32 tokens of a layer's keys, 2 MB hold 1024.
TEST(Variants, APageGroupIsABlock) {
  const KvLayout small{.name = KvLayout::Name::kVirtual, .page_group = Bytes{64 << 10}},
      large{.name = KvLayout::Name::kVirtual};
  EXPECT_EQ(virtual_block_tokens(small, {}, 8, 128, 2), 32);
  EXPECT_EQ(virtual_block_tokens(large, {}, 8, 128, 2), 1024);
  EXPECT_EQ(virtual_block_tokens({.name = KvLayout::Name::kVirtual, .page_group = 2000000_B}, {}, 8, 128, 2), 1024);
  EXPECT_THROW(virtual_block_tokens({.name = KvLayout::Name::kVirtual, .page_group = Bytes{1024}}, {}, 8, 128, 2),
               ConfigError);
  EXPECT_EQ(deploy(request({.layout = large}, "llama-3.1-8b", "a100-80g")).kv.block_tokens, 1024);
}

TEST(Variants, MappingStallsOnlyWithoutPremapping) {
  KvLayout l{.name = KvLayout::Name::kVirtual, .page_group = Bytes{2 << 20}, .premap = false};
  EXPECT_NEAR(VariantCost({.layout = l}, a100()).map_seconds_per_token(1024, 64) * 1024, 64 * 69e-6, 1e-12);
  l.page_group = Bytes{64 << 10};
  EXPECT_NEAR(VariantCost({.layout = l}, a100()).map_seconds_per_token(32, 64) * 32, 64 * 8e-6, 1e-9);
  l.premap = true;
  EXPECT_EQ(VariantCost({.layout = l}, a100()).map_seconds_per_token(32, 64), 0);
}

/// A step waits for the mapping of what it computes: a prompt of 2048 tokens maps two groups in each of 64 tensors.
TEST(Variants, AStepCarriesItsMapping) {
  Variants v{.layout = {.name = KvLayout::Name::kVirtual, .premap = false}};
  const Deployment waits = deploy(request(v, "llama-3.1-8b"));
  v.layout.premap = true;
  const Deployment ahead = deploy(request(v, "llama-3.1-8b"));
  const ChunkShape chunk{0_tok, 2048_tok};
  StepShape x;
  x.prefill = chunk.q;
  x.prefill_pairs = 2048 * 1024;
  x.sequences = x.outputs = 1;
  x.chunks = {&chunk, 1};
  const Duration more = waits.cost->price({&x, 1}, 0).first - ahead.cost->price({&x, 1}, 0).first;
  EXPECT_NEAR(to_seconds(more), 2 * 64 * 69e-6, 1e-9);
}

TEST(Variants, PagingCostsWhatIsSaidOfIt) {
  const Shape x{1, 8192, 0, 32, 8, 128};
  const auto ratio = [&](KvLayout l) {
    return a100().prefill.seconds(x) / VariantCost({.layout = l}, a100()).prefill_seconds(x);
  };
  EXPECT_NEAR(ratio({.name = KvLayout::Name::kVirtual}), 7.0 / 5.5, 1e-9);
  EXPECT_NEAR(ratio({.name = KvLayout::Name::kVirtual, .paged_slowdown = 1}), 1, 1e-9);
  EXPECT_NEAR(ratio({.name = KvLayout::Name::kVirtual, .paged_slowdown = 1.5}), 1.5, 1e-9);
  EXPECT_EQ(ratio({}), 1);
  const VariantCost hopper({.layout = {.name = KvLayout::Name::kVirtual}}, h200());
  EXPECT_EQ(hopper.prefill_seconds(x), h200().prefill.seconds(x));      // no figure for FA3
}

/// A cache of 16 bits is read and written once more; of KIVI's the values' codes, and of a window keys once and values
/// twice.
TEST(Variants, AConcatenatedCacheIsCopiedForEachToken) {
  const Hardware h = load_hardware("a100-80g", {});
  const Shape x{64, 1000, 32, 32, 128};
  const auto extra = [&](KvFormat format) {
    const VariantCost in_place({.format = format}, h),
        copied({.format = format, .layout = {.concatenated = true}}, h);
    EXPECT_EQ(copied.notes().size(), in_place.notes().size() + 1);
    EXPECT_EQ(copied.grade(), Grade::kDatasheet);
    EXPECT_EQ(copied.prefill_seconds(x), in_place.prefill_seconds(x));
    return (copied.decode_seconds(x) - in_place.decode_seconds(x)) * 0.92 * h.specs.memory_bytes_per_s;
  };
  const double token = 2.0 * 64 * 32 * 128;   // values of a token of all sequences
  EXPECT_NEAR(extra({}) / (2 * token * 1000 * 2), 1, 1e-9);
  const KvFormat kivi{.name = KvFormat::Name::kKivi, .bits = 2, .group = 32, .residual = 32};
  EXPECT_NEAR(extra(kivi) / (2 * token * (0.5 * 976 * 0.375 + 5.0 / 3 * 24 * 2)), 1, 1e-9);
  EXPECT_THROW(VariantCost({.layout = {.name = KvLayout::Name::kVirtual, .concatenated = true}}, h), ConfigError);
}

}  // namespace
}  // namespace orrery
