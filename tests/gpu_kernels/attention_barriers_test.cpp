/// No barrier, wait or fence of the attention kernels can be left out without being noticed: each place in their
/// sources is left out in turn, and the emulator stops, or the result is wrong. So what the emulator lets pass has them
/// all.
#include <gtest/gtest.h>

#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "tests/gpu_kernels/prefill_cases.hpp"

namespace orrery::gpu_emulated {
namespace {

using emulator::EmulatorError;
using emulator::Machine;

/// `right` runs a kernel and says whether its result is right.
template <class Right>
void expect_all_needed(const Right& right) {
  Machine& machine = Machine::instance();
  machine.places.clear();
  ASSERT_TRUE(right());
  const auto places = machine.places;
  std::vector<std::string> unnoticed;
  for (const auto& place : places) {
    machine.omitted = place;
    bool noticed = false;
    for (std::uint64_t seed : {0, 1, 2}) {                         // it may take an order of threads
      machine.order_seed = seed;
      try {
        noticed = noticed || !right();
      } catch (const EmulatorError&) {
        noticed = true;
      }
      if (noticed) break;
    }
    if (!noticed) unnoticed.push_back(place.first + ":" + std::to_string(place.second));
  }
  EXPECT_EQ(unnoticed, std::vector<std::string>{});
  machine.omitted = {};
  machine.order_seed = 0;
}

TEST(AttentionBarriers, OfDecodeAreAllNeeded) {
  expect_all_needed([] {
    DecodeCase d({.shape = {4, 1, 64}, .held = {{1, 700}}, .rule = SplitRule::kNone});
    attention_decode(d.args(), nullptr);
    return relative_error(d.out.download(), d.reference()) < kBf16Bound;
  });
}

TEST(AttentionBarriers, OfPrefillAreAllNeeded) {
  expect_all_needed([] {
    PrefillCase p({.shape = {2, 1, 64}, .chunks = {{1, 150, 90}}, .tile_tokens = 90});
    attention_prefill(p.args(), nullptr);
    return relative_error(p.out.download(), p.reference()) < kBf16Bound;
  });
}

/// The turns of the two consumers are for speed alone; they are missed as arrivals that nobody waited for.
TEST(AttentionBarriers, OfWarpgroupsAreAllNeeded) {
  expect_all_needed([] {
    PrefillCase p({.shape = {3, 1, 64}, .chunks = {{1, 598, 60}}, .tile_tokens = 60});   // 640 and 658 keys
    attention_prefill_warpgroups(p.args(), p.offset.back(), nullptr);
    return relative_error(p.out.download(), p.reference()) < kBf16Bound;
  });
}

}  // namespace
}  // namespace orrery::gpu_emulated
