#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <stdexcept>
#include <tuple>

#include "kernels/engine/decoder.hpp"
#include "kernels/engine/kv_pool.hpp"
#include "kernels/sampling/sampling.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

constexpr DecoderShape kDense{.layers = 2,
                              .hidden = 96,
                              .heads = 6,
                              .kv_heads = 2,
                              .head_dim = 32,
                              .ffn = 160,
                              .vocab = 300,
                              .max_positions = 512};
constexpr DecoderShape kExperts{.layers = 2,
                                .hidden = 64,
                                .heads = 4,
                                .kv_heads = 1,
                                .head_dim = 32,
                                .ffn = 96,
                                .vocab = 300,
                                .experts = 4,
                                .top_k = 2,
                                .max_positions = 512};

using Tokens32s = std::vector<std::int32_t>;

Tokens32s prompt_of(int text, int n) {
  Tokens32s out;
  for (int i = 0; i < n; ++i)
    out.push_back(static_cast<std::int32_t>(mix64(salted("prompt") + text * 10000 + i) % 300));
  return out;
}

/// One sequence as its client sees it: tokens so far and the logits after each step.
template <class T>
struct Client {
  Tokens32s tokens;
  std::int32_t computed = 0;               ///< tokens whose KV is in the pool
  std::vector<std::vector<T>> logits;      ///< of each token that was drawn
};

/// Runs clients on one decoder and pool; the tests are the scheduler.
template <class T>
class Server {
 public:
  Server(const DecoderShape& shape, const Weights<T>& weights, int blocks = 60, int block_tokens = 16)
      : shape_(shape), decoder_(shape, weights), pool({shape, blocks, block_tokens, 8, 40}) {}

  void admit(std::int32_t sequence, const Tokens32s& prompt) { clients[sequence] = {prompt, 0, {}}; }

  /// A step in which each of `sequences` computes at most `budget` of its missing tokens; those that reach the end draw
  /// one.
  void step(const std::vector<std::int32_t>& sequences, int budget = 1000) {
    std::vector<Work> work;
    for (std::int32_t s : sequences) {
      Client<T>& c = clients[s];
      const int q = std::min<int>(budget, static_cast<int>(c.tokens.size()) - c.computed);
      ASSERT_TRUE(pool.ensure(s, c.computed + q));
      work.push_back({.context = c.computed,
                      .tokens = std::span<const std::int32_t>(c.tokens).subspan(c.computed, q),
                      .blocks = pool.blocks_of(s),
                      .logits = c.computed + q == static_cast<int>(c.tokens.size())});
    }
    auto logits = decoder_.step(work, pool.memory());
    for (std::size_t i = 0; i < work.size(); ++i) {
      Client<T>& c = clients[sequences[i]];
      c.computed += static_cast<std::int32_t>(work[i].tokens.size());
      if (!work[i].logits) continue;
      const auto row = logits.first(shape_.vocab);
      logits = logits.subspan(shape_.vocab);
      c.logits.emplace_back(row.begin(), row.end());
      const SampleParams p{.temperature = 0.9f, .top_k = 40, .top_p = 0.95f, .seed = 1, .position = c.computed};
      c.tokens.push_back(-1);
      sample(SampleArgs<T>{c.logits.back().data(), shape_.vocab, 1, &p, &c.tokens.back()});
    }
  }

  std::map<std::int32_t, Client<T>> clients;

 private:
  DecoderShape shape_;
  Decoder<T> decoder_;

 public:
  KvPool<T> pool;
};

template <class T>
bool same(const Client<T>& a, const Client<T>& b) {
  if (a.tokens != b.tokens || a.logits.size() != b.logits.size()) return false;
  for (std::size_t i = 0; i < a.logits.size(); ++i) {
    if (!same_bits(a.logits[i], b.logits[i])) return false;
  }
  return true;
}

/// `steps` tokens of one sequence that nothing interrupts.
template <class T>
Client<T> alone(const DecoderShape& shape, const Weights<T>& weights, const Tokens32s& prompt, int steps) {
  Server<T> server(shape, weights);
  server.admit(0, prompt);
  for (int i = 0; i < steps; ++i) server.step({0});
  return server.clients[0];
}

/// The architecture as its papers write it, in double, one token after the other, everything recomputed.
std::vector<double> plain_logits(const DecoderShape& s, const Weights<double>& weights, const Tokens32s& tokens) {
  using Row = std::vector<double>;
  const auto times = [](const std::vector<double>& w, std::size_t first, int n, const Row& x) {
    Row y(n);
    for (int i = 0; i < n; ++i)
      for (std::size_t j = 0; j < x.size(); ++j) y[i] += w[first + i * x.size() + j] * x[j];
    return y;
  };
  const auto norm = [&](const Row& x, const std::vector<double>& w) {
    double squares = 0;
    for (double v : x) squares += v * v;
    Row y;
    for (std::size_t i = 0; i < x.size(); ++i)
      y.push_back(x[i] / std::sqrt(squares / static_cast<double>(x.size()) + s.eps) * w[i]);
    return y;
  };
  const auto feed_forward = [&](const LayerWeights<double>& w, int expert, const Row& x) {
    const Row up = times(w.gate_up, static_cast<std::size_t>(expert) * 2 * s.ffn * s.hidden, 2 * s.ffn, x);
    Row gated;
    for (int i = 0; i < s.ffn; ++i) gated.push_back(up[i] / (1 + std::exp(-up[i])) * up[s.ffn + i]);
    return times(w.down, static_cast<std::size_t>(expert) * s.hidden * s.ffn, s.hidden, gated);
  };
  const int d = s.head_dim;
  std::vector<Row> x;
  for (std::int32_t t : tokens)
    x.emplace_back(weights.embedding.begin() + t * s.hidden, weights.embedding.begin() + (t + 1) * s.hidden);
  for (const LayerWeights<double>& w : weights.layers) {
    std::vector<Row> qkv;
    for (std::size_t t = 0; t < x.size(); ++t) {
      qkv.push_back(times(w.qkv, 0, s.qkv(), norm(x[t], w.attention_norm)));
      for (int h = 0; h < s.heads + s.kv_heads; ++h) {
        for (int c = 0; c < d / 2; ++c) {
          const double angle = static_cast<double>(t) * std::pow(s.rope_base, -2.0 * c / d);
          double &a = qkv[t][h * d + c], &b = qkv[t][h * d + c + d / 2];
          std::tie(a, b) =
              std::pair(a * std::cos(angle) - b * std::sin(angle), b * std::cos(angle) + a * std::sin(angle));
        }
      }
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      Row attended(s.heads * d);
      for (int h = 0; h < s.heads; ++h) {
        const int kv = h / (s.heads / s.kv_heads);
        Row weight;
        double sum = 0;
        for (std::size_t j = 0; j <= t; ++j) {
          double score = 0;
          for (int c = 0; c < d; ++c) score += qkv[t][h * d + c] * qkv[j][(s.heads + kv) * d + c];
          sum += weight.emplace_back(std::exp(score / std::sqrt(d)));
        }
        for (std::size_t j = 0; j <= t; ++j)
          for (int c = 0; c < d; ++c)
            attended[h * d + c] += weight[j] / sum * qkv[j][(s.heads + s.kv_heads + kv) * d + c];
      }
      const Row projected = times(w.out, 0, s.hidden, attended);
      for (int i = 0; i < s.hidden; ++i) x[t][i] += projected[i];
    }
    for (Row& row : x) {
      const Row normed = norm(row, w.ffn_norm);
      Row out(s.hidden);
      if (s.experts == 0) {
        out = feed_forward(w, 0, normed);
      } else {
        const Row logits = times(w.router, 0, s.experts, normed);
        std::vector<int> order(s.experts);
        for (int e = 0; e < s.experts; ++e) order[e] = e;
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
        double sum = 0;
        for (int i = 0; i < s.top_k; ++i) sum += std::exp(logits[order[i]]);
        for (int i = 0; i < s.top_k; ++i) {
          const Row part = feed_forward(w, order[i], normed);
          for (int c = 0; c < s.hidden; ++c) out[c] += std::exp(logits[order[i]]) / sum * part[c];
        }
      }
      for (int i = 0; i < s.hidden; ++i) row[i] += out[i];
    }
  }
  return times(weights.head, 0, s.vocab, norm(x.back(), weights.final_norm));
}

class Engine : public testing::TestWithParam<DecoderShape> {
 protected:
  const DecoderShape& shape() const { return GetParam(); }
  const Weights<float> weights{GetParam(), test_seed()};
};

TEST_P(Engine, LogitsAreThoseOfTheArchitecture) {
  const Weights<double> wide(shape(), test_seed());
  const auto prompt = prompt_of(1, 75);
  const auto reference = alone(shape(), wide, prompt, 3);
  auto seen = reference.tokens;
  for (int i = 3; i-- > 0;) {
    seen.pop_back();
    EXPECT_LT(relative_error(reference.logits[i], plain_logits(shape(), wide, seen)), 1e-11);
  }
  if (shape().experts > 0) return;                                 // float may choose otherwise where two experts tie
  EXPECT_LT(relative_error(alone(shape(), weights, prompt, 1).logits[0], reference.logits[0]), 2e-5);
}

TEST_P(Engine, ChunksGiveTheLogitsOfThePromptAtOnce) {
  const auto prompt = prompt_of(2, 100);
  const auto whole = alone(shape(), weights, prompt, 4);
  for (int budget : {1, 7, 16, 64, 99}) {
    Server<float> server(shape(), weights);
    server.admit(3, prompt);
    while (server.clients[3].logits.size() < 4) server.step({3}, budget);
    EXPECT_TRUE(same(whole, server.clients[3])) << budget;
  }
}

TEST_P(Engine, ASequenceDoesNotSeeTheBatch) {
  Server<float> server(shape(), weights, 60, 8);
  std::vector<std::int32_t> running;
  for (int s = 0; s < 5; ++s) {                                    // they join one by one: chunks beside decodes
    server.admit(s, prompt_of(s, 20 + 9 * s));
    running.push_back(s);
    server.step(running, 16);
  }
  for (int i = 0; i < 8; ++i) server.step(running, 16);
  for (int s = 0; s < 5; ++s) {
    const auto& c = server.clients[s];
    EXPECT_GE(c.logits.size(), 5u);
    EXPECT_TRUE(same(alone(shape(), weights, prompt_of(s, 20 + 9 * s), static_cast<int>(c.logits.size())), c)) << s;
  }
}

TEST_P(Engine, PreemptedAndRecomputedGoesOnAsIfNothingHappened) {
  const auto prompt = prompt_of(4, 60);
  Server<float> server(shape(), weights);
  server.admit(0, prompt);
  server.admit(1, prompt_of(5, 30));
  for (int i = 0; i < 12; ++i) {
    server.step({0, 1});
    if (i % 5 == 4) {                                              // another takes its blocks meanwhile
      server.pool.release(0);
      server.clients[0].computed = 0;
      server.step({1});
      server.step({1});
    }
  }
  EXPECT_TRUE(same(alone(shape(), weights, prompt, 12), server.clients[0]));
}

TEST_P(Engine, SwappedOutAndInIsIdentical) {
  const auto prompt = prompt_of(6, 60);
  Server<float> server(shape(), weights, 12);
  server.admit(0, prompt);
  server.admit(1, prompt_of(7, 90));
  for (int i = 0; i < 3; ++i) server.step({0});
  const Tokens32s before(server.pool.blocks_of(0).begin(), server.pool.blocks_of(0).end());
  ASSERT_TRUE(server.pool.swap_out(0));
  EXPECT_EQ(server.pool.free_blocks(), 12);
  EXPECT_EQ(server.pool.free_swap_blocks(), 36);
  server.step({1});                                                // writes over its old blocks
  ASSERT_TRUE(server.pool.swap_in(0));
  const Tokens32s after(server.pool.blocks_of(0).begin(), server.pool.blocks_of(0).end());
  EXPECT_NE(before, after);
  EXPECT_EQ(server.pool.free_swap_blocks(), 40);
  for (int i = 0; i < 3; ++i) server.step({0, 1});
  EXPECT_TRUE(same(alone(shape(), weights, prompt, 6), server.clients[0]));
}

TEST_P(Engine, ASharedPrefixIsAsGoodAsOnesOwn) {
  auto prompt = prompt_of(8, 48);
  Server<float> server(shape(), weights);
  server.admit(0, prompt);
  server.step({0});
  for (std::int32_t extra : prompt_of(9, 21)) prompt.push_back(extra);
  server.admit(1, prompt);
  server.pool.share(0, 1, 48);
  server.clients[1].computed = 48;
  const int used = 60 - server.pool.free_blocks();
  EXPECT_EQ(used, 3);                                              // none taken yet
  EXPECT_FALSE(server.pool.swap_out(1));                           // shared blocks stay
  server.step({0, 1});
  server.pool.release(0);                                          // the prefix outlives its first owner
  for (int i = 0; i < 4; ++i) server.step({1});
  EXPECT_TRUE(same(alone(shape(), weights, prompt, 5), server.clients[1]));
  server.pool.release(1);
  EXPECT_EQ(server.pool.free_blocks(), 60);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Engine, testing::Values(kDense, kExperts),
                         [](const auto& i) { return i.param.experts ? "Experts" : "Dense"; });

TEST(KvPool, RefusesWhatItHasNot) {
  KvPool<float> pool({kDense, 4, 16, 2, 2});
  EXPECT_TRUE(pool.ensure(0, 33));
  EXPECT_EQ(pool.free_blocks(), 1);
  EXPECT_FALSE(pool.ensure(1, 17));
  EXPECT_EQ(pool.free_blocks(), 1);
  EXPECT_TRUE(pool.blocks_of(1).empty());
  EXPECT_FALSE(pool.swap_out(0));                                  // three blocks, room for two
  EXPECT_EQ(pool.blocks_of(0).size(), 3u);
  pool.release(0);
  EXPECT_EQ(pool.free_blocks(), 4);
}

TEST(Weights, DependOnTheSeedAloneAndHaveTheVarianceTheyShould) {
  const Weights<float> a(kExperts, 5), b(kExperts, 5), c(kExperts, 6);
  EXPECT_EQ(a.layers[1].down, b.layers[1].down);
  EXPECT_NE(a.layers[1].down, c.layers[1].down);
  EXPECT_NE(a.layers[0].qkv, a.layers[1].qkv);
  double squares = 0;
  for (float x : a.head) squares += x * x / static_cast<float>(a.head.size());
  EXPECT_NEAR(squares * kExperts.hidden, 1, 0.05);
  const Weights<double> wide(kExperts, 5);
  const Weights<Bf16> coarse(kExperts, 5);
  EXPECT_EQ(wide.head[77], a.head[77]);
  EXPECT_EQ(coarse.head[77].bits, to<Bf16>(a.head[77]).bits);
}

TEST(Decoder, RefusesShapesThatTheKernelsCannotDo) {
  for (auto change : {+[](DecoderShape& s) { s.heads = 5; }, +[](DecoderShape& s) { s.head_dim = 258; },
                      +[](DecoderShape& s) { s.head_dim = 31; }, +[](DecoderShape& s) { s.top_k = 9; },
                      +[](DecoderShape& s) { s.ffn = 0; }}) {
    DecoderShape shape = kExperts;
    shape.kv_heads = 2;
    const Weights<float> weights(shape, 1);
    change(shape);
    EXPECT_THROW(Decoder<float>(shape, weights), std::invalid_argument);
  }
}

}  // namespace
}  // namespace orrery
