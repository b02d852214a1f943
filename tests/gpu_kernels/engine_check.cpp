/// The decoder on a device beside the CPU's: the same weights, pools and steps; logits as near to the double reference
/// as the CPU's in bf16 are. Large products are the host's where there is no GPU, everything else is the kernels'.
#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "kernels/engine/decoder.hpp"
#include "kernels/engine/gpu_decoder.hpp"
#include "kernels/gather/gather_rows_gpu.hpp"
#include "kernels/gemm/large_product.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr DecoderShape kDense{.layers = 2, .hidden = 128, .heads = 4, .kv_heads = 2, .head_dim = 64, .ffn = 160,
                              .vocab = 264, .max_positions = 512};
constexpr DecoderShape kWide{.layers = 1, .hidden = 192, .heads = 3, .kv_heads = 1, .head_dim = 128, .ffn = 96,
                             .vocab = 128, .max_positions = 512};
constexpr DecoderShape kExperts{.layers = 2, .hidden = 64, .heads = 2, .kv_heads = 1, .head_dim = 64, .ffn = 64,
                                .vocab = 128, .experts = 8, .top_k = 8, .max_positions = 512};
/// One layer: nothing lies between the router and its experts that a choice has touched.
constexpr DecoderShape kChoice{.layers = 1, .hidden = 64, .heads = 2, .kv_heads = 1, .head_dim = 64, .ffn = 64,
                               .vocab = 128, .experts = 8, .top_k = 2, .max_positions = 512};
constexpr std::int32_t kBlocksEach = 24, kSequences = 12;

Weights<double> widened(const DecoderShape& shape, const Weights<Bf16>& narrow) {
  Weights<double> wide;
  std::vector<std::vector<double>*> all;
  const auto note = [&](std::vector<double>& x, auto...) { all.push_back(&x); };
  for_each_tensor(shape, wide, note, note);
  Weights<Bf16> walked = narrow;
  std::size_t next = 0;
  const auto take = [&](std::vector<Bf16>& x, auto...) { *all[next++] = as_double(x); };
  for_each_tensor(shape, walked, take, take);
  return wide;
}

/// Sequences that go through the same steps on the device, on the CPU in bf16, and in double.
class Beside {
 public:
  Beside(const DecoderShape& shape, std::int32_t block_tokens)
      : shape_(shape), block_tokens_(block_tokens), weights16_(shape, salted("engine") % 1000),
        weights64_(widened(shape, weights16_)), cpu_(shape, weights16_), reference_(shape, weights64_),
        memory16_({.shape = shape, .blocks = kBlocksEach * kSequences, .block_tokens = block_tokens}),
        memory64_({.shape = shape, .blocks = kBlocksEach * kSequences, .block_tokens = block_tokens}),
        device_weights_(make_gpu_weights(shape, salted("engine") % 1000, stream_)),
        product_({}, std::ref(large_), device_processors()),
        gpu(shape, device_weights_, product_, stream_,
            {.blocks = kBlocksEach * kSequences, .block_tokens = block_tokens}) {
    for (std::int32_t b = 0; b < kBlocksEach * kSequences; ++b) blocks_.push_back(b);
    std::reverse(blocks_.begin(), blocks_.end());      // tables that are not the identity
    for (std::int32_t s = 0; s < kSequences; ++s) {
      for (int t = 0; t < kBlocksEach * block_tokens_; ++t)
        text_[s].push_back(
            static_cast<std::int32_t>(hash_combine(salted("text"), static_cast<std::uint64_t>(1000 * s + t)) %
                                      static_cast<std::uint64_t>(shape.vocab)));
    }
  }

  struct Item {
    std::int32_t sequence, tokens;
    bool logits = true;
  };
  /// Computes the next tokens of these sequences everywhere.
  void step(const std::vector<Item>& items) {
    std::vector<Work> work;
    for (const Item& i : items) {
      work.push_back(
          {.context = at_[i.sequence],
           .tokens = std::span<const std::int32_t>(text_[i.sequence])
                         .subspan(static_cast<std::size_t>(at_[i.sequence]), static_cast<std::size_t>(i.tokens)),
           .blocks = table(i.sequence, at_[i.sequence] + i.tokens),
           .logits = i.logits});
      at_[i.sequence] += i.tokens;
    }
    const auto next = gpu.step(work);
    next_.assign(next.begin(), next.end());
    const auto exact = reference_.step(work, memory64_);
    const auto host = cpu_.step(work, memory16_);
    layout_.fill(work);
    if (shape_.experts > 0) route();
    compare(gpu_rows(work), std::vector<Bf16>(host.begin(), host.end()),
            std::vector<double>(exact.begin(), exact.end()));
  }
  std::span<const std::int32_t> table(std::int32_t sequence, std::int32_t tokens) const {
    return std::span<const std::int32_t>(blocks_).subspan(
        static_cast<std::size_t>(sequence * kBlocksEach),
        static_cast<std::size_t>((tokens + block_tokens_ - 1) / block_tokens_));
  }
  /// Rows as near as the CPU's, of all that were compared.
  double near() const { return static_cast<double>(near_) / static_cast<double>(std::max(1, all_)); }
  int compared() const { return all_; }
  /// The same of what the router says; one layer only: deeper down another choice above has changed its input.
  double routers_near() const { return static_cast<double>(routers_near_) / static_cast<double>(std::max(1, routed_)); }
  /// Rows whose experts are the reference's, of all; those among them that are as near as the CPU's.
  int of_the_same_experts() const { return same_; }
  int near_of_the_same_experts() const { return same_near_; }
  const std::vector<std::int32_t>& next() const { return next_; }
  DeviceStream& stream() { return stream_; }
  std::int32_t at(std::int32_t sequence) const { return at_[sequence]; }

 private:
  /// The device's logits of the items that want them; a graph has computed all.
  std::vector<Bf16> gpu_rows(const std::vector<Work>& work) {
    std::vector<Bf16> all = gpu.logits(), wanted;
    const auto vocab = static_cast<std::size_t>(shape_.vocab);
    const auto n =
        static_cast<std::size_t>(std::count_if(work.begin(), work.end(), [](const Work& w) { return w.logits; }));
    if (all.size() == n * vocab) return all;
    for (std::size_t i = 0; i < work.size(); ++i) {
      if (work[i].logits) wanted.insert(wanted.end(), all.begin() + static_cast<std::ptrdiff_t>(i * vocab),
                                        all.begin() + static_cast<std::ptrdiff_t>((i + 1) * vocab));
    }
    return wanted;
  }
  /// What the router says is as near as the CPU's; whom it takes follows from what it says: an expert that the
  /// reference takes and the device does not was no further ahead than the two logits are off.
  void route() {
    const std::vector<std::int32_t> taken = gpu.experts();
    const std::vector<Bf16> logits = gpu.router_logits();
    const auto n = static_cast<std::size_t>(shape_.experts), k = static_cast<std::size_t>(shape_.top_k);
    same_experts_.assign(static_cast<std::size_t>(layout_.rows()), true);
    for (std::size_t r = 0; r < same_experts_.size(); ++r) {
      const auto mine = std::span(logits).subspan(r * n, n), theirs = cpu_.router_logits().subspan(r * n, n);
      const auto exact = reference_.router_logits().subspan(r * n, n);
      routers_near_ += relative_error(mine, exact) < 2 * relative_error(theirs, exact) + 5e-3;
      ++routed_;
      const auto row = std::span(taken).subspan(r * k, k);
      const std::set<std::int32_t> here(row.begin(), row.end());
      ASSERT_EQ(here.size(), k);
      const auto off = [&](std::int32_t e) { return std::abs(from(mine[e]) - exact[e]); };
      for (const std::int32_t wanted : reference_.experts().subspan(r * k, k)) {
        if (here.contains(wanted)) continue;
        same_experts_[r] = false;
        for (const std::int32_t e : here) {
          EXPECT_LE(exact[wanted] - exact[e], off(wanted) + off(e) + 1e-12)
              << "row " << r << ": " << e << " instead of " << wanted;
        }
      }
    }
  }
  void compare(const std::vector<Bf16>& device, const std::vector<Bf16>& host, const std::vector<double>& exact) {
    const auto vocab = static_cast<std::size_t>(shape_.vocab);
    ASSERT_EQ(device.size(), exact.size());
    for (std::size_t r = 0; r * vocab < exact.size(); ++r) {
      const auto row = [&](const auto& x) { return std::span(x).subspan(r * vocab, vocab); };
      const double mine = relative_error(row(device), row(exact)), theirs = relative_error(row(host), row(exact));
      const bool near = mine < 2 * theirs + 5e-3;
      near_ += near;
      ++all_;
      if (shape_.experts > 0 && same_experts_[static_cast<std::size_t>(layout_.last[r])]) {
        ++same_;
        same_near_ += near;
      }
      const auto best = std::max_element(row(device).begin(), row(device).end(),
                                         [](Bf16 a, Bf16 b) { return from(a) < from(b); });
      EXPECT_EQ(next_[r], best - row(device).begin());         // its own likeliest token
    }
  }

  DecoderShape shape_;
  std::int32_t block_tokens_;
  Weights<Bf16> weights16_;
  Weights<double> weights64_;
  Decoder<Bf16> cpu_;
  Decoder<double> reference_;
  KvMemory<Bf16> memory16_;
  KvMemory<double> memory64_;
  DeviceStream stream_;
  GpuWeights device_weights_;
  LargeProduct large_;
  DeviceGemm product_;
  std::vector<std::int32_t> blocks_, text_[kSequences], next_;
  std::int32_t at_[kSequences] = {};
  StepLayout layout_;
  std::vector<bool> same_experts_;               // of the rows of the last step
  int near_ = 0, all_ = 0, routers_near_ = 0, routed_ = 0, same_ = 0, same_near_ = 0;

 public:
  GpuDecoder gpu;
};

class Engine : public GpuCheck {};

/// Prompts whole and in chunks, beside decodes and alone; then decodes alone in growing batches, each more than once,
/// some of whose logits nobody wants.
void serve(Beside& b) {
  b.step({{0, 37}, {1, 5, false}});
  b.step({{1, 30}, {0, 1}, {2, 1, false}, {3, 64, false}});
  b.step({{2, 12}, {0, 1}, {3, 3}, {1, 1}});
  for (int i = 0; i < 3; ++i) b.step({{0, 1}, {1, 1}, {2, 1}});                // a graph of 4 rows
  b.step({{3, 1}, {0, 1, false}, {1, 1}});
  b.step({{5, 20}});
  b.step({{5, 1}, {0, 1}, {1, 1}, {2, 1}, {3, 1}, {6, 1}});                    // of 8; one sequence begins with it
  b.step({{6, 1}, {5, 1}, {0, 1}, {1, 1}, {2, 1}, {3, 1}});
  b.step({{0, 1}});
}

TEST_F(Engine, ADenseModelIsAsNearToTheReferenceAsTheCpusIs) {
  for (const std::int32_t block : {16, 4}) {  // 4: the mixed kernel, pages are no boxes
    Beside b(kDense, block);
    serve(b);
    EXPECT_EQ(b.near(), 1.0) << block;
    EXPECT_GE(b.gpu.graphs(), 3u);
    EXPECT_GT(b.compared(), 30);
  }
}

TEST_F(Engine, HeadsOf128) {
  Beside b(kWide, 16);
  serve(b);
  EXPECT_EQ(b.near(), 1.0);
}

/// Where every token goes to all experts there is nothing to choose: every row is as near, layer after layer.
TEST_F(Engine, AMixtureOfAllItsExpertsIsAsNear) {
  Beside b(kExperts, 16);
  serve(b);
  EXPECT_EQ(b.near(), 1.0);
  EXPECT_EQ(b.of_the_same_experts(), b.compared());
}

/// A token whose second and third expert are nearly as good may take another one in other arithmetic, and only then
/// (route()); what the router says is as near as the CPU's, and so is every row that took the reference's experts.
TEST_F(Engine, ExpertsAreTakenAsTheRouterSaysAndTheirRowsAreAsNear) {
  Beside b(kChoice, 16);
  serve(b);
  EXPECT_EQ(b.routers_near(), 1.0);
  EXPECT_EQ(b.near_of_the_same_experts(), b.of_the_same_experts());
  EXPECT_GT(b.of_the_same_experts(), b.compared() / 2);
}

/// What a graph computed once it computes again from the same content, and other content in between does not matter;
/// blocks that were in host memory and came back elsewhere give the same logits.
TEST_F(Engine, GraphsServeAgainAndSwappedBlocksAreTheSame) {
  Beside b(kDense, 16);
  b.step({{0, 40}, {1, 23}});
  const std::vector<std::int32_t> token{7};
  const auto run = [&](std::span<const std::int32_t> table) {
    const Work work[] = {{.context = 40, .tokens = token, .blocks = table}};
    b.gpu.step(work);
    return b.gpu.logits();
  };
  const auto before = run(b.table(0, 41));
  const Work other[] = {{.context = 23, .tokens = token, .blocks = b.table(1, 24)}};
  b.gpu.step(other);
  EXPECT_FALSE(same_bits(before, b.gpu.logits()));
  EXPECT_TRUE(same_bits(before, run(b.table(0, 41))));
  const auto here = b.table(0, 41), there = b.table(9, 41);
  b.gpu.memory().reserve_swap(1);
  b.gpu.memory().reserve_swap(5);
  b.gpu.memory().copy(GpuKvMemory::Way::kOut, std::vector<std::int64_t>{here[0], 4, here[1], 0, here[2], 2},
                      b.stream());
  b.gpu.memory().copy(GpuKvMemory::Way::kIn, std::vector<std::int64_t>{4, there[0], 0, there[1], 2, there[2]},
                      b.stream());
  EXPECT_TRUE(same_bits(before, run(there)));
  EXPECT_EQ(b.gpu.graphs(), 1u);
}

/// A prompt longer than what there is room for: memory grows, and graphs that know the old places are made anew.
TEST_F(Engine, GraphsAreMadeAnewWhenMemoryGrows) {
  Beside b(kDense, 16);
  b.step({{0, 20}});
  b.step({{0, 1}});
  EXPECT_EQ(b.gpu.graphs(), 1u);
  b.step({{1, 300}});
  EXPECT_EQ(b.gpu.graphs(), 0u);
  b.step({{0, 1}, {1, 1}});
  b.step({{0, 1}});
  EXPECT_EQ(b.gpu.graphs(), 2u);
  EXPECT_EQ(b.near(), 1.0);
  EXPECT_GT(b.gpu.preparing_seconds(), 0);
}

TEST_F(Engine, NumbersOfRowsThatHaveAGraph) {
  std::vector<std::int32_t> rows;
  for (const std::int32_t n : {1, 2, 3, 4, 5, 8, 9, 64, 65, 256}) rows.push_back(graph_rows(n));
  EXPECT_EQ(rows, (std::vector<std::int32_t>{1, 2, 4, 4, 8, 8, 16, 64, 72, 256}));
}

TEST_F(Engine, ShapesThatTheKernelsCannotDoAreNamed) {
  const auto error = [](auto change) {
    DecoderShape s = kDense;
    change(s);
    return std::string(gpu_shape_error(s));
  };
  EXPECT_EQ(error([](DecoderShape&) {}), "");
  EXPECT_EQ(error([](DecoderShape& s) { s.head_dim = 32; }), "head_dim: the CUDA attention kernels have 64 and 128");
  EXPECT_EQ(error([](DecoderShape& s) { s.kv_heads = 3; }),
            "heads: expected a multiple of kv_heads, at most 64 per KV head");
  EXPECT_EQ(error([](DecoderShape& s) { s.hidden = 100; }), "hidden: expected a multiple of 8, at most 16384");
  EXPECT_EQ(error([](DecoderShape& s) { s.ffn = 100; }), "ffn: expected a multiple of 8");
  EXPECT_EQ(error([](DecoderShape& s) { s.vocab = 1 << 22; }), "vocab: expected a multiple of 8, below 2^22");
  EXPECT_EQ(error([](DecoderShape& s) { s.experts = 300; }),
            "experts: expected at most 256, of which a token takes at most 8");
}

class Gather : public GpuCheck {};

TEST_F(Gather, RowsByNumber) {
  for (const int dim : {8, 1032}) {
    const auto from_rows = random_vector<Bf16>(static_cast<std::size_t>(9 * dim), "from");
    const std::vector<std::int32_t> index{3, 0, 8, 3, 5};
    const DeviceBuffer<Bf16> source(from_rows, "from");
    const DeviceBuffer<std::int32_t> index_d(index, "index");
    DeviceBuffer<Bf16> out(index.size() * static_cast<std::size_t>(dim), "out");
    out.poison();
    gather_rows({source.data(), index_d.data(), out.data(), 5, dim}, nullptr);
    auto expected = poisoned<Bf16>(out.size());
    orrery::gather_rows(GatherArgs<Bf16>{from_rows.data(), index.data(), expected.data(), 5, dim});
    EXPECT_TRUE(same_bits(out.download(), expected));
    for (std::size_t r = 0; r < index.size(); ++r)
      EXPECT_EQ(expected[r * static_cast<std::size_t>(dim)].bits,
                from_rows[static_cast<std::size_t>(index[r] * dim)].bits);
  }
  EXPECT_THROW(gather_rows({.rows = 1, .dim = 12}, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
