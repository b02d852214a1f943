#include <gtest/gtest.h>

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/attention_mixed/attention_mixed.hpp"
#include "kernels/attention_prefill/attention_prefill.hpp"
#include "kernels/common/simd.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

struct Chunk {
  int text, context, q;
};

/// Arguments and memory of a prefill launch.
template <class T>
struct Prefill {
  Prefill(AttentionShape shape, const std::vector<Chunk>& chunks, int page_tokens, int tile_rows = 48)
      : kv(held(chunks), page_tokens, shape) {
    std::vector<std::pair<int, std::int64_t>> rows;
    for (const Chunk& c : chunks) {
      for (int i = 0; i < c.q; ++i) rows.emplace_back(c.text, c.context + i);
      offset.push_back(static_cast<std::int32_t>(rows.size()));
      context.push_back(c.context);
      queries.push_back(c.q);
    }
    q = queries_of<T>(shape, rows);
    out = poisoned<T>(q.size());
    plan = plan_prefill(
        {.queries = queries, .contexts = context, .kv_heads = shape.kv_heads, .block = kKvBlock, .rows = tile_rows});
    args = {.q = q.data(), .out = out.data(), .q_offset = offset.data(), .context = context.data(), .kv = kv.view(),
            .sequences = static_cast<std::int32_t>(chunks.size()), .heads = shape.heads, .q_stride = 0,
            .scale = static_cast<Accum<T>>(shape.scale()), .tiles = plan.tiles.data(),
            .tile_count = static_cast<std::int64_t>(plan.tiles.size())};
  }
  static std::vector<Held> held(const std::vector<Chunk>& chunks) {
    std::vector<Held> h;
    for (const Chunk& c : chunks) h.push_back({c.text, c.context + c.q});
    return h;
  }
  const std::vector<T>& run() {
    attention_prefill(args);
    return out;
  }

  TestKv<T> kv;
  std::vector<std::int32_t> offset{0}, context, queries;
  std::vector<T> q, out;
  LaunchPlan plan;
  PrefillArgs<T> args;
};

/// The same of a decode launch: the query of the last token of each sequence.
template <class T>
struct Decode {
  Decode(AttentionShape shape, const std::vector<Held>& held, int page_tokens, SplitRule rule = SplitRule::kNone,
         int split_blocks = 2)
      : kv(held, page_tokens, shape) {
    std::vector<std::pair<int, std::int64_t>> rows;
    for (const Held& h : held) {
      rows.emplace_back(h.text, h.tokens - 1);
      length.push_back(h.tokens);
    }
    q = queries_of<T>(shape, rows);
    out = poisoned<T>(q.size());
    plan = plan_decode({.contexts = length,
                        .kv_heads = shape.kv_heads,
                        .units = 16,
                        .block = kKvBlock,
                        .rule = rule,
                        .split_blocks = split_blocks});
    space.emplace_back(plan, shape.heads, shape.head_dim);
    args.rows = {.q = q.data(),
                 .out = out.data(),
                 .kv_len = length.data(),
                 .batch = static_cast<std::int32_t>(held.size()),
                 .heads = shape.heads,
                 .kv_heads = shape.kv_heads,
                 .head_dim = shape.head_dim,
                 .q_stride = 0,
                 .scale = static_cast<Accum<T>>(shape.scale()),
                 .tiles = plan.tiles.data(),
                 .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
                 .partials = space[0].partials(),
                 .outside = space[0].outside()};
    args.kv = kv.view();
  }
  const std::vector<T>& run() {
    attention_decode(args);
    return out;
  }
  int outside() const {
    return static_cast<int>(std::count(args.rows.outside, args.rows.outside + args.rows.batch * args.rows.heads, 1));
  }

  TestKv<T> kv;
  std::vector<std::int32_t> length;
  std::vector<T> q, out;
  LaunchPlan plan;
  std::vector<SplitSpace<Accum<T>>> space;
  DecodeArgs<T> args;
};

const AttentionShape kShapes[] = {{4, 2, 64}, {2, 2, 128}, {8, 1, 64}, {6, 2, 80}};
const std::vector<Held> kBatch = {{1, 1}, {2, 64}, {3, 65}, {4, 200}, {5, 513}};

template <class T>
class Attention : public testing::Test {};
using Formats = testing::Types<float, Bf16, double>;
TYPED_TEST_SUITE(Attention, Formats);

TYPED_TEST(Attention, PrefillIsTheFormula) {
  using T = TypeParam;
  for (AttentionShape shape : kShapes) {
    if (shape.head_dim == 80) continue;                       // scale() knows 64 and 128
    const std::vector<Chunk> chunks = {{1, 0, 70}, {2, 100, 3}, {3, 64, 64}, {4, 0, 1}};
    Prefill<T> p(shape, chunks, 16);
    p.run();
    std::vector<double> expected;
    for (const Chunk& c : chunks) {
      for (int i = 0; i < c.q; ++i) {
        const auto row = plain_attention(shape, c.text, c.context + i, first_tokens(c.context + i + 1));
        expected.insert(expected.end(), row.begin(), row.end());
      }
    }
    EXPECT_LT(relative_error(p.out, expected), bound<T>());
  }
}

TYPED_TEST(Attention, DecodeIsTheFormula) {
  using T = TypeParam;
  for (AttentionShape shape : {kShapes[0], kShapes[1], kShapes[2]}) {
    for (SplitRule rule : {SplitRule::kNone, SplitRule::kFixedSize, SplitRule::kFillUnits}) {
      Decode<T> d(shape, kBatch, 16, rule);
      d.run();
      std::vector<double> expected;
      for (const Held& h : kBatch) {
        const auto row = plain_attention(shape, h.text, h.tokens - 1, first_tokens(h.tokens));
        expected.insert(expected.end(), row.begin(), row.end());
      }
      EXPECT_LT(relative_error(d.out, expected), bound<T>());
    }
  }
}

TYPED_TEST(Attention, PagedEqualsContiguous) {
  using T = TypeParam;
  for (AttentionShape shape : kShapes) {
    const std::vector<Chunk> chunks = {{1, 0, 70}, {2, 130, 21}};
    Prefill<T> contiguous(shape, chunks, 1000);
    Decode<T> decode(shape, kBatch, 1000);
    contiguous.run();
    decode.run();
    for (int page : {1, 16, 48, 64, 256}) {
      EXPECT_TRUE(same_bits(contiguous.out, Prefill<T>(shape, chunks, page).run())) << page;
      EXPECT_TRUE(same_bits(decode.out, Decode<T>(shape, kBatch, page).run())) << page;
    }
  }
}

TYPED_TEST(Attention, ChunksGiveTheBitsOfThePromptAtOnce) {
  using T = TypeParam;
  for (AttentionShape shape : kShapes) {
    Prefill<T> whole(shape, {{7, 0, 150}}, 16);
    whole.run();
    for (const std::vector<int>& cuts :
         {std::vector<int>{0, 64, 128, 150}, {0, 1, 70, 71, 149, 150}, {0, 33, 66, 99, 150}}) {
      for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
        Prefill<T> part(shape, {{7, cuts[i], cuts[i + 1] - cuts[i]}}, 32, 17);
        part.run();
        for (int t = cuts[i]; t < cuts[i + 1]; ++t) {
          ASSERT_TRUE(same_bits(row_of(whole.out, shape, t), row_of(part.out, shape, t - cuts[i]))) << t;
        }
      }
    }
  }
}

TYPED_TEST(Attention, UnsplitDecodeIsTheLastRowOfPrefill) {
  using T = TypeParam;
  for (AttentionShape shape : kShapes) {
    Prefill<T> p(shape, {{4, 0, 200}}, 16);
    Decode<T> d(shape, {{4, 200}}, 16);
    EXPECT_TRUE(same_bits(row_of(p.run(), shape, 199), row_of(d.run(), shape, 0)));
  }
}

TYPED_TEST(Attention, RowsDoNotDependOnTheBatch) {
  using T = TypeParam;
  const AttentionShape shape;
  Decode<T> batch(shape, kBatch, 16, SplitRule::kFixedSize);
  Prefill<T> chunks(shape, {{1, 10, 40}, {2, 0, 65}, {3, 300, 9}}, 16);
  batch.run();
  chunks.run();
  for (std::size_t i = 0; i < kBatch.size(); ++i) {
    Decode<T> alone(shape, {kBatch[i]}, 64, SplitRule::kFixedSize);
    EXPECT_TRUE(same_bits(row_of(batch.out, shape, i), row_of(alone.run(), shape, 0))) << i;
  }
  Prefill<T> alone(shape, {{3, 300, 9}}, 16, 64);
  alone.run();
  for (int t = 0; t < 9; ++t) EXPECT_TRUE(same_bits(row_of(chunks.out, shape, 105 + t), row_of(alone.out, shape, t)));
}

/// Merging rounds once more: the results differ by rounding only.
TYPED_TEST(Attention, MergedSplitsEqualTheUnsplit) {
  using T = TypeParam;
  const AttentionShape shape;
  Decode<T> whole(shape, {{5, 1500}, {6, 77}}, 16);
  whole.run();
  for (int blocks : {1, 2, 5, 23}) {
    Decode<T> split(shape, {{5, 1500}, {6, 77}}, 16, SplitRule::kFixedSize, blocks);
    EXPECT_EQ(split.plan.splits[0], (24 + blocks - 1) / blocks);
    EXPECT_LT(relative_error(split.run(), whole.out), rounding<T>());
  }
}

TYPED_TEST(Attention, APartOfTheKeysIsWeighedByItsMass) {
  using T = TypeParam;
  const AttentionShape shape;
  Decode<T> d(shape, {{5, 300}}, 16, SplitRule::kFixedSize);
  attention_partial(d.args);
  const auto p = d.args.rows.partials;
  for (int h = 0; h < shape.heads; ++h) {                       // sum over the splits of l exp(m) is that of all keys
    double parts = 0, all = 0;
    for (int s = 0; s < d.plan.splits[0]; ++s)
      parts += p.l[s * shape.heads + h] * std::exp(static_cast<double>(p.m[s * shape.heads + h]));
    for (int t = 0; t < 300; ++t) {
      double score = 0;
      for (int c = 0; c < shape.head_dim; ++c)
        score += double{d.kv.content.q(5, 299, h, c)} * d.kv.content.k(5, t, h / 2, c);
      all += std::exp(score * shape.scale());
    }
    EXPECT_NEAR(parts / all, 1, rounding<T>());
  }
}

TYPED_TEST(Attention, UnifiedMaximumEqualsTheSynchronised) {
  using T = TypeParam;
  const AttentionShape shape;
  Decode<T> synchronised(shape, kBatch, 16, SplitRule::kFixedSize), unified(shape, kBatch, 16, SplitRule::kFixedSize);
  unified.args.rows.softmax = SoftmaxMode::kUnified;
  unified.args.rows.phi = 1;
  EXPECT_LT(relative_error(unified.run(), synchronised.run()), rounding<T>());
  EXPECT_EQ(unified.outside(), 0);
}

/// One key of a long sequence is made so large that its score overflows the band: only the rows that see it are
/// computed again, and these have the synchronised kernel's bits.
TYPED_TEST(Attention, ForcedOverflowTakesTheSecondPass) {
  using T = TypeParam;
  const AttentionShape shape;
  Decode<T> synchronised(shape, kBatch, 16, SplitRule::kFixedSize), unified(shape, kBatch, 16, SplitRule::kFixedSize);
  for (Decode<T>* d : {&synchronised, &unified}) {
    T* key = d->args.kv.key(4, 300, 1);
    for (int c = 0; c < shape.head_dim; ++c) key[c] = to<T>(static_cast<Accum<T>>(400 * d->kv.content.q(5, 512, 2, c)));
  }
  unified.args.rows.softmax = SoftmaxMode::kUnified;
  synchronised.run();
  unified.run();
  EXPECT_EQ(unified.args.rows.outside[4 * 4 + 2], 1);           // sequence 4, head 2
  EXPECT_EQ(unified.outside(), 1 + unified.args.rows.outside[4 * 4 + 3]);
  EXPECT_TRUE(same_bits(row_of(synchronised.out, shape, 4).subspan(2 * 64, 64),
                        row_of(unified.out, shape, 4).subspan(2 * 64, 64)));
  EXPECT_LT(relative_error(unified.out, synchronised.out), rounding<T>());
  // A band that nothing fits: every row, and all bits.
  unified.args.rows.low = unified.args.rows.high = Accum<T>(1000);
  EXPECT_TRUE(same_bits(unified.run(), synchronised.out));
  EXPECT_EQ(unified.outside(), static_cast<int>(kBatch.size()) * shape.heads);
}

TYPED_TEST(Attention, MixedIsTheTwoApart) {
  using T = TypeParam;
  const AttentionShape shape;
  const std::vector<Chunk> chunks = {{8, 256, 100}, {9, 0, 30}};
  Prefill<T> p(shape, chunks, 16), p2(shape, chunks, 16);
  Decode<T> d(shape, kBatch, 16, SplitRule::kFixedSize), d2(shape, kBatch, 16, SplitRule::kFixedSize);
  p.run();
  d.run();
  const LaunchPlan plan = plan_mixed(p2.plan, d2.plan);
  attention_mixed(MixedArgs<T>{p2.args, d2.args, plan.tiles.data(), static_cast<std::int64_t>(plan.tiles.size())});
  EXPECT_TRUE(same_bits(p.out, p2.out));
  EXPECT_TRUE(same_bits(d.out, d2.out));
}

/// Two sequences with the same first 128 tokens, whose pages are one another's.
TYPED_TEST(Attention, ASharedPrefixEqualsACopy) {
  using T = TypeParam;
  const AttentionShape shape;
  const std::vector<Held> held = {{3, 128}, {3, 190}, {3, 230}};
  Decode<T> apart(shape, held, 16), shared(shape, held, 16);
  const int pages = shared.args.kv.max_pages;
  for (int s : {1, 2}) {
    for (int page = 0; page < 8; ++page) {
      const std::int32_t own = shared.kv.table[s * pages + page];
      fill_poison(std::span<T>(shared.kv.k).subspan(static_cast<std::size_t>(own) * 16 * 2 * 64, 16 * 2 * 64));
      shared.kv.table[s * pages + page] = shared.kv.table[page];
    }
  }
  EXPECT_TRUE(same_bits(apart.run(), shared.run()));
}

TEST(AttentionBits, DoNotDependOnTheInstructionSet) {
  for (AttentionShape shape : kShapes) {
    Prefill<float> wide(shape, {{1, 30, 90}}, 16), least(shape, {{1, 30, 90}}, 16);
    Decode<float> wide_decode(shape, kBatch, 16), least_decode(shape, kBatch, 16);
    wide.run();
    wide_decode.run();
    allow_avx2 = false;
    least.run();
    least_decode.run();
    allow_avx2 = true;
    EXPECT_TRUE(same_bits(wide.out, least.out));
    EXPECT_TRUE(same_bits(wide_decode.out, least_decode.out));
  }
}

}  // namespace
}  // namespace orrery
