#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "kernels/attention_prefill/attention_prefill.hpp"
#include "kernels/copy_blocks/copy_blocks.hpp"
#include "kernels/virtual_kv/background_map.hpp"
#include "kernels/virtual_kv/virtual_kv.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

TEST(CopyBlocks, CopiesTheNamedBlocksOfAllTensors) {
  const int tensors = 4, blocks = 10, width = 96;
  std::vector<std::vector<float>> from_pool, to_pool;
  std::vector<const void*> source;
  std::vector<void*> target;
  for (int t = 0; t < tensors; ++t)
    from_pool.push_back(random_vector<float>(blocks * width, "pool" + std::to_string(t)));
  to_pool.assign(tensors, poisoned<float>(blocks * width));
  for (int t = 0; t < tensors; ++t) {
    source.push_back(from_pool[t].data());
    target.push_back(to_pool[t].data());
  }
  const std::vector<std::int64_t> out{1, 5, 7, 0, 9, 2};
  copy_blocks({source.data(), target.data(), tensors, out.data(), 3, width * 4});
  for (int t = 0; t < tensors; ++t) {
    for (int i = 0; i < 3; ++i) {
      const std::span<const float> a(from_pool[t]), b(to_pool[t]);
      EXPECT_TRUE(same_bits(a.subspan(out[2 * i] * width, width), b.subspan(out[2 * i + 1] * width, width)));
    }
    EXPECT_EQ(std::count_if(to_pool[t].begin(), to_pool[t].end(), [](float x) { return x == x; }), 3 * width);
  }
}

TEST(CopyBlocks, SwappedOutAndInIsIdentical) {
  const int blocks = 6, width = 64;
  auto device = random_vector<float>(blocks * width, "device"), host = poisoned<float>(blocks * width);
  const auto before = device;
  void* d = device.data();
  void* h = host.data();
  const std::vector<std::int64_t> out{2, 0, 4, 1}, in{0, 4, 1, 2};           // they come back elsewhere
  copy_blocks({&d, &h, 1, out.data(), 2, width * 4});
  fill_poison(std::span(device).subspan(2 * width, width));
  fill_poison(std::span(device).subspan(4 * width, width));
  copy_blocks({&h, &d, 1, in.data(), 2, width * 4});
  const std::span<const float> a(before), b(device);
  EXPECT_TRUE(same_bits(a.subspan(2 * width, width), b.subspan(4 * width, width)));
  EXPECT_TRUE(same_bits(a.subspan(4 * width, width), b.subspan(2 * width, width)));
}

TEST(CopyBlocks, FindsConflicts) {
  const std::vector<std::int64_t> fine{1, 2, 1, 3, 4, 5}, twice{1, 2, 3, 4, 5, 2}, chain{1, 2, 2, 3};
  EXPECT_EQ(first_conflict(fine, true), -1);
  EXPECT_EQ(first_conflict(twice, false), 0);
  EXPECT_EQ(first_conflict(chain, true), 0);
  EXPECT_EQ(first_conflict(chain, false), -1);
}

constexpr AttentionShape kShape;
/// Two layers; a page group of 4096 bytes holds 8 tokens of one tensor, so a block is 4 groups.
VirtualKvConfig small_pool(std::int64_t groups) {
  return {.layers = 2,
          .slots = 3,
          .max_tokens = 100,
          .kv_heads = 2,
          .head_dim = 64,
          .element_bytes = 4,
          .page_group_bytes = 4096,
          .page_groups = groups};
}

void expect_conserved(const VirtualKv& pool, std::int64_t all) {
  EXPECT_EQ(pool.pages().free + pool.pages().active + pool.pages().inactive, all);
}

TEST(VirtualKv, MapsWhatIsNeededAndNoMore) {
  VirtualKv pool(small_pool(100));
  EXPECT_EQ(pool.block_tokens(), 8);
  EXPECT_EQ(pool.slot_tokens(), 104);
  const int slot = pool.acquire(20);
  EXPECT_EQ(pool.pages().active, 0);
  for (int n : {1, 8, 9, 20, 100}) {
    ASSERT_TRUE(pool.ensure(slot, n));
    EXPECT_EQ(pool.pages().active, (n + 7) / 8 * 4);               // waste: less than one group a tensor
    EXPECT_EQ(pool.mapped_tokens(slot), (n + 7) / 8 * 8);
    expect_conserved(pool, 100);
  }
  EXPECT_EQ(pool.pages().mapped_waiting, 13 * 4);
  EXPECT_FALSE(pool.ensure(slot, 105));                            // longer than a slot
}

TEST(VirtualKv, ReleasedMemoryIsReusedThenReclaimed) {
  VirtualKv pool(small_pool(24));                                  // 6 blocks
  const int a = pool.acquire(16), b = pool.acquire(32);
  ASSERT_TRUE(pool.ensure(a, 16));
  ASSERT_TRUE(pool.ensure(b, 32));
  const int c = pool.acquire(8);
  EXPECT_EQ(pool.acquire(1), -1);                                  // no slot left
  EXPECT_FALSE(pool.ensure(c, 8));                                 // no memory left
  EXPECT_EQ(pool.mapped_tokens(c), 0);
  pool.release(a);
  EXPECT_EQ(pool.pages().inactive, 8);                             // kept
  EXPECT_EQ(pool.pages().unmapped, 0);
  ASSERT_TRUE(pool.ensure(c, 8));                                  // now taken from the released slot
  EXPECT_EQ(pool.pages().unmapped, 4);
  EXPECT_EQ(pool.pages().inactive, 4);
  expect_conserved(pool, 24);
  const auto waiting = pool.pages().mapped_waiting;
  EXPECT_EQ(pool.acquire(8), a);                                   // gets what is mapped there
  ASSERT_TRUE(pool.ensure(a, 8));
  EXPECT_EQ(pool.pages().mapped_waiting, waiting);                 // for nothing
  for (int s : {a, b, c}) pool.release(s);
  EXPECT_EQ(pool.acquire(20), b);                                  // the least that suffices
  EXPECT_EQ(pool.acquire(20), a);                                  // else the one with the most: equal, the first
  pool.release(a);
  pool.reclaim();
  EXPECT_EQ(pool.pages().inactive, 0);
  EXPECT_EQ(pool.pages().peak, 24);
  expect_conserved(pool, 24);
}

TEST(VirtualKv, MapsAheadFromFreeMemoryOnly) {
  VirtualKv pool(small_pool(24));
  const std::vector<int> slots{pool.acquire(8), pool.acquire(8)};
  ASSERT_TRUE(pool.ensure(slots[0], 8));
  ASSERT_TRUE(pool.ensure(slots[1], 8));
  const std::vector<std::int64_t> soon{9, 9};
  EXPECT_EQ(pool.premap(slots, soon, 1), 1);
  EXPECT_EQ(pool.premap(slots, soon, 5), 1);
  EXPECT_EQ(pool.premap(slots, soon, 5), 0);
  EXPECT_EQ(pool.pages().mapped_ahead, 8);
  const auto waiting = pool.pages().mapped_waiting;
  ASSERT_TRUE(pool.ensure(slots[0], 9));
  EXPECT_EQ(pool.pages().mapped_waiting, waiting);                 // the step did not wait
  const std::vector<std::int64_t> far{100, 100};
  EXPECT_EQ(pool.premap(slots, far, 100), 2);                      // all that was free
  EXPECT_EQ(pool.pages().free, 0);
  expect_conserved(pool, 24);
}

/// Mapping beside the caller, in several rounds, then what the step finds.
TEST(VirtualKv, MapsInTheBackground) {
  VirtualKv pool(small_pool(200));
  const std::vector<int> slots{pool.acquire(8), pool.acquire(8), pool.acquire(8)};
  {
    BackgroundMap ahead(pool);
    EXPECT_EQ(ahead.wait(), 0);
    ahead.start(slots, std::vector<std::int64_t>{9, 9, 9}, 4);      // wants six blocks, may map four
    EXPECT_EQ(ahead.wait(), 4);
    ahead.start(slots, std::vector<std::int64_t>{9, 9, 9}, 4);
    ahead.start(slots, std::vector<std::int64_t>{17, 17, 17}, 9);
    EXPECT_EQ(ahead.wait(), 2 + 3);
    ahead.start(slots, std::vector<std::int64_t>{25, 17, 17}, 9);   // ends with it
  }
  EXPECT_EQ(pool.mapped_tokens(slots[0]), 32);
  EXPECT_EQ(pool.pages().mapped_ahead, 10 * 4);
  ASSERT_TRUE(pool.ensure(slots[0], 32));
  EXPECT_EQ(pool.pages().mapped_waiting, 0);
  expect_conserved(pool, 200);
}

/// Memory that refuses the 6th mapping, and knows what is behind which address.
struct Reluctant final : PageMapper {
  std::map<std::int64_t, std::int64_t> at;
  int left = 5;
  std::byte* base() const override { return nullptr; }
  bool map(std::int64_t offset, std::int64_t group) override {
    if (left-- == 0) return false;
    for (const auto& [o, g] : at) EXPECT_TRUE(o != offset && g != group);
    at[offset] = group;
    return true;
  }
  void unmap(std::int64_t offset) override { EXPECT_EQ(at.erase(offset), 1u); }
};

TEST(VirtualKv, ARefusedMappingLeavesNothingBehind) {
  static Reluctant* pages;
  VirtualKv pool(small_pool(24), [](const PageSpace&) {
    auto made = std::make_unique<Reluctant>();
    pages = made.get();
    return std::unique_ptr<PageMapper>(std::move(made));
  });
  const int slot = pool.acquire(16);
  EXPECT_FALSE(pool.ensure(slot, 16));                             // two blocks are 8 mappings
  EXPECT_TRUE(pages->at.empty());
  EXPECT_EQ(pool.mapped_tokens(slot), 0);
  expect_conserved(pool, 24);
  ASSERT_TRUE(pool.ensure(slot, 16));                              // it does not refuse again
  EXPECT_EQ(pages->at.size(), 8u);
}

TEST(VirtualKv, RefusesOddPageGroups) {
  auto config = small_pool(4);
  config.page_group_bytes = 5000;
  EXPECT_THROW(VirtualKv{config}, std::invalid_argument);
  config.page_group_bytes = 4096;
  config.head_dim = 80;
  EXPECT_THROW(VirtualKv{config}, std::invalid_argument);
}

/// The same kernel, the same bits as with pages of 16; the memory is another sequence's, full of NaN.
TEST(VirtualKv, AttentionEqualsPaged) {
  VirtualKv pool(small_pool(60));
  const int dirty = pool.acquire(100);
  ASSERT_TRUE(pool.ensure(dirty, 100));
  for (int layer : {0, 1}) {
    fill_poison(std::span(pool.keys<float>(layer) + dirty * pool.slot_tokens() * 128, 104 * 128));
    fill_poison(std::span(pool.values<float>(layer) + dirty * pool.slot_tokens() * 128, 104 * 128));
  }
  pool.release(dirty);
  pool.reclaim();                                                  // the memory goes to others, as it is
  const std::vector<Held> held = {{1, 70}, {2, 41}};
  TestKv<float> paged(held, 16, kShape);
  const std::vector<std::int32_t> queries{70, 41}, context{0, 0}, offset{0, 70, 111};
  std::vector<std::int32_t> table;
  std::vector<std::pair<int, std::int64_t>> rows;
  const auto source = paged.view();
  for (int s = 0; s < 2; ++s) {
    const int slot = pool.acquire(held[s].tokens);
    ASSERT_TRUE(pool.ensure(slot, held[s].tokens));
    table.push_back(slot);
    for (int t = 0; t < held[s].tokens; ++t) {
      rows.emplace_back(held[s].text, t);
      const std::int64_t at = (static_cast<std::int64_t>(slot) * pool.slot_tokens() + t) * 128;
      std::copy_n(source.key(s, t, 0), 128, pool.keys<float>(1) + at);
      std::copy_n(source.value(s, t, 0), 128, pool.values<float>(1) + at);
    }
  }
  const PagedKv<float> contiguous{
      pool.keys<float>(1), pool.values<float>(1), table.data(), 1, pool.slot_tokens(), 2, 64};
  const auto q = queries_of<float>(kShape, rows);
  const LaunchPlan plan = plan_prefill({.queries = queries, .contexts = context, .kv_heads = 2});
  auto a = poisoned<float>(q.size()), b = a;
  PrefillArgs<float> args{.q = q.data(),
                          .out = a.data(),
                          .q_offset = offset.data(),
                          .context = context.data(),
                          .kv = source,
                          .sequences = 2,
                          .heads = 4,
                          .q_stride = 0,
                          .scale = 0.125f,
                          .tiles = plan.tiles.data(),
                          .tile_count = static_cast<std::int64_t>(plan.tiles.size())};
  attention_prefill(args);
  args.kv = contiguous;
  args.out = b.data();
  attention_prefill(args);
  EXPECT_TRUE(same_bits(a, b));
  EXPECT_EQ(std::count_if(b.begin(), b.end(), [](float x) { return x == x; }), static_cast<std::int64_t>(b.size()));
}

}  // namespace
}  // namespace orrery
