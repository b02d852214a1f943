/// What the emulator knows of the attention kernels beside their results: no bank conflicts, and the same results in
/// whatever order threads run.
#include <gtest/gtest.h>

#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "tests/gpu_kernels/prefill_cases.hpp"

namespace orrery::gpu_emulated {
namespace {

class AttentionQuality : public testing::TestWithParam<int> {};

TEST_P(AttentionQuality, DecodeReadsMatricesWithoutBankConflicts) {
  DecodeCase d({.shape = {4, 1, GetParam()}, .held = {{1, 200}}});
  emulator::Machine::instance().counters = {};
  attention_decode(d.args(), nullptr);
  EXPECT_GT(emulator::Machine::instance().counters.ldmatrix, 0);
  EXPECT_EQ(emulator::Machine::instance().counters.ldmatrix_conflicts, 0);
}

TEST_P(AttentionQuality, PrefillReadsMatricesWithoutBankConflicts) {
  PrefillCase p({.shape = {4, 1, GetParam()}, .chunks = {{1, 30, 50}}});
  emulator::Machine::instance().counters = {};
  attention_prefill(p.args(), nullptr);
  EXPECT_GT(emulator::Machine::instance().counters.ldmatrix, 0);
  EXPECT_EQ(emulator::Machine::instance().counters.ldmatrix_conflicts, 0);
}

TEST_P(AttentionQuality, PrefillDoesNotDependOnTheOrderOfThreads) {
  std::vector<std::vector<Bf16>> outs;
  for (std::uint64_t seed : {0, 5, 6}) {
    emulator::Machine::instance().order_seed = seed;
    PrefillCase p({.shape = {4, 1, GetParam()}, .chunks = {{1, 30, 50}}});
    attention_prefill(p.args(), nullptr);
    outs.push_back(p.out.download());
  }
  emulator::Machine::instance().order_seed = 0;
  EXPECT_TRUE(same_bits(outs[0], outs[1]));
  EXPECT_TRUE(same_bits(outs[0], outs[2]));
}

TEST_P(AttentionQuality, WarpgroupsDoNotDependOnTheOrderOfThreads) {
  std::vector<std::vector<Bf16>> outs;
  for (std::uint64_t seed : {0, 5, 6, 7}) {
    emulator::Machine::instance().order_seed = seed;
    PrefillCase p({.shape = {4, 2, GetParam()}, .chunks = {{1, 150, 60}, {2, 0, 40}}});
    attention_prefill_warpgroups(p.args(), p.offset.back(), nullptr);
    outs.push_back(p.out.download());
  }
  emulator::Machine::instance().order_seed = 0;
  for (const auto& out : outs) EXPECT_TRUE(same_bits(outs[0], out));
}

TEST_P(AttentionQuality, DecodeDoesNotDependOnTheOrderOfThreads) {
  std::vector<std::vector<Bf16>> outs;
  for (std::uint64_t seed : {0, 5, 6}) {
    emulator::Machine::instance().order_seed = seed;
    DecodeCase d({.shape = {4, 1, GetParam()}, .held = {{1, 200}}});
    attention_decode(d.args(), nullptr);
    outs.push_back(d.out.download());
  }
  emulator::Machine::instance().order_seed = 0;
  EXPECT_TRUE(same_bits(outs[0], outs[1]));
  EXPECT_TRUE(same_bits(outs[0], outs[2]));
}

INSTANTIATE_TEST_SUITE_P(HeadSizes, AttentionQuality, testing::Values(64, 128));

}  // namespace
}  // namespace orrery::gpu_emulated
