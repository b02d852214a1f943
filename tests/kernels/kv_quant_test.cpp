#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "kernels/kv_quant/fp8_kv.hpp"
#include "kernels/kv_quant/kivi.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

constexpr AttentionShape kShape;
constexpr int kWidth = 2 * 64;                     ///< numbers of a token's keys
constexpr int kPages = 40;

/// Queries are a quarter of the usual: the bounds then say something.
constexpr double kScale = 0.125 * 0.25;

/// Keys or values of the tokens [first, last) of texts, (tokens, kv_heads, head_dim).
template <class T>
std::vector<T> kv_of(int kind, int text, int first, int last) {
  const Content content;
  std::vector<T> x;
  for (int t = first; t < last; ++t)
    for (int h = 0; h < kShape.kv_heads; ++h)
      for (int c = 0; c < kShape.head_dim; ++c)
        x.push_back(to<T>(static_cast<Accum<T>>(content.value(kind, text, t, h, c))));
  return x;
}

/// Plain attention with what the pool holds; also the analytic bound of its error. `key_error` and `value_error` bound
/// the quantiser's error of a channel of a token: scores then move by at most delta = scale sum |q| error,
/// probabilities by a factor in [exp(-2 delta), exp(2 delta)], and the output by (exp(2 delta) - 1) max |v| + max value
/// error.
template <class KeyError, class ValueError>
void exact_and_bound(int text, int n, KeyError key_error, ValueError value_error, std::vector<double>& exact,
                     std::vector<double>& limit) {
  const Content content;
  for (int h = 0; h < kShape.heads; ++h) {
    std::vector<double> score;
    double delta = 0, most = -1e300, sum = 0;
    for (int t = 0; t < n; ++t) {
      double s = 0, d = 0;
      for (int c = 0; c < kShape.head_dim; ++c) {
        const double q = content.q(text, n - 1, h, c);
        s += q * content.k(text, t, h / 2, c) * kScale;
        d += std::fabs(q) * key_error(t, h / 2, c) * kScale;
      }
      score.push_back(s);
      delta = std::max(delta, d);
      most = std::max(most, s);
    }
    for (double& s : score) sum += s = std::exp(s - most);
    for (int c = 0; c < kShape.head_dim; ++c) {
      double o = 0, largest = 0, error = 0;
      for (int t = 0; t < n; ++t) {
        o += score[t] / sum * content.v(text, t, h / 2, c);
        largest = std::max(largest, std::fabs(static_cast<double>(content.v(text, t, h / 2, c))));
        error = std::max(error, value_error(t, h / 2, c));
      }
      exact.push_back(o);
      limit.push_back((std::exp(2 * delta) - 1) * largest + error);
    }
  }
}

template <class T>
DecodeRows<T> rows_of(const std::vector<T>& q, std::vector<T>& out, const std::vector<std::int32_t>& length,
                      const LaunchPlan& plan, SplitSpace<Accum<T>>& space) {
  return {.q = q.data(),
          .out = out.data(),
          .kv_len = length.data(),
          .batch = static_cast<std::int32_t>(length.size()),
          .heads = kShape.heads,
          .kv_heads = kShape.kv_heads,
          .head_dim = kShape.head_dim,
          .q_stride = 0,
          .scale = static_cast<Accum<T>>(kScale),
          .tiles = plan.tiles.data(),
          .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
          .partials = space.partials(),
          .outside = space.outside()};
}

TEST(Kivi, QuantiserIsWithinHalfAStep) {
  for (int bits : {2, 4}) {
    for (int trial = 0; trial < 500; ++trial) {
      auto x = random_vector<float>(kKiviGroup, "group" + std::to_string(trial), trial % 3 ? 1.7f : 1e-3f);
      for (float& v : x) v += static_cast<float>(trial % 7) * 0.3f;
      std::vector<std::uint8_t> codes(kKiviGroup * bits / 8);
      const KiviGroup g = kivi_quantise(std::span<const float, kKiviGroup>(x), bits, codes.data());
      const double step = from(g.scale),
                   range = *std::max_element(x.begin(), x.end()) - *std::min_element(x.begin(), x.end());
      EXPECT_LE(step, (range + 2e-3 * 3.5) / ((1 << bits) - 1) + 1e-6);   // not wasteful: one rounding of a half each
      for (int i = 0; i < kKiviGroup; ++i) {
        const int code = codes[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
        EXPECT_LE(std::fabs(from(g.zero) + step * code - x[i]), step / 2 * (1 + 1e-5) + 1e-6);
      }
    }
  }
  std::vector<float> same(kKiviGroup, 0.5f);
  std::vector<std::uint8_t> codes(16);
  const KiviGroup g = kivi_quantise(std::span<const float, kKiviGroup>(same), 4, codes.data());
  EXPECT_EQ(from(g.zero), 0.5f);
  EXPECT_EQ(codes, std::vector<std::uint8_t>(16));
}

template <class T>
struct KiviCache {
  KiviCache(int sequences, int bits, int residual)
      : k_codes(kPages * kWidth * kKiviGroup * bits / 8),
        v_codes(k_codes.size()),
        k_scale(poisoned<Half>(kPages * kWidth)),
        k_zero(k_scale),
        v_scale(poisoned<Half>(kPages * kWidth * kKiviGroup / 32)),
        v_zero(v_scale),
        k_recent(poisoned<T>(sequences * residual * kWidth)),
        v_recent(k_recent),
        table(kPages) {
    for (int i = 0; i < kPages; ++i) table[i] = i * 7 % kPages;         // 7 and 40 are coprime: a permutation
    pool = {k_codes.data(),
            k_scale.data(),
            k_zero.data(),
            v_codes.data(),
            v_scale.data(),
            v_zero.data(),
            k_recent.data(),
            v_recent.data(),
            table.data(),
            kPages / sequences,
            kShape.kv_heads,
            kShape.head_dim,
            bits,
            residual};
  }
  void append(const std::vector<int>& texts, int first, int last) {
    for (std::size_t s = 0; s < texts.size(); ++s) {
      const auto k = kv_of<T>(1, texts[s], first, last), v = kv_of<T>(2, texts[s], first, last);
      std::vector<std::int32_t> sequence(last - first, static_cast<std::int32_t>(s)), position;
      for (int t = first; t < last; ++t) position.push_back(t);
      kivi_append(KiviAppendArgs<T>{k.data(), v.data(), sequence.data(), position.data(), pool, last - first, 0});
    }
  }
  std::vector<T> decode(const std::vector<int>& texts, int n, SplitRule rule = SplitRule::kFixedSize) {
    std::vector<std::pair<int, std::int64_t>> rows;
    for (int text : texts) rows.emplace_back(text, n - 1);
    const auto q = queries_of<T>(kShape, rows);
    const std::vector<std::int32_t> length(texts.size(), n);
    const LaunchPlan plan =
        plan_decode({.contexts = length, .kv_heads = kShape.kv_heads, .units = 8, .rule = rule, .split_blocks = 2});
    SplitSpace<Accum<T>> space(plan, kShape.heads, kShape.head_dim);
    auto out = poisoned<T>(q.size());
    kivi_decode(KiviDecodeArgs<T>{rows_of(q, out, length, plan, space), pool});
    return out;
  }
  std::vector<std::uint8_t> k_codes, v_codes;
  std::vector<Half> k_scale, k_zero, v_scale, v_zero;
  std::vector<T> k_recent, v_recent;
  std::vector<std::int32_t> table;
  KiviPool<T> pool;
};

class KiviBits : public testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(KiviBits, ErrorIsWithinTheAnalyticBound) {
  const int bits = std::get<0>(GetParam()), residual = std::get<1>(GetParam());
  KiviCache<double> cache(2, bits, residual);
  const std::vector<int> texts = {1, 2};
  double last = 0;
  for (int n : {1, 31, 32, 128, 129, 300, 512, 600}) {
    cache.append(texts, static_cast<int>(last), n);
    last = n;
    const auto out = cache.decode(texts, n);
    for (int s = 0; s < 2; ++s) {
      const auto& p = cache.pool;
      const auto page = [&](int t) { return std::int64_t{p.table[s * p.max_pages + t / 32]}; };
      std::vector<double> exact, limit;
      exact_and_bound(
          texts[s], n,
          [&](int t, int h, int c) {
            return t < n / residual * residual ? from(p.k_scale[(page(t) * 2 + h) * 64 + c]) / 2.0 : 0;
          },
          [&](int t, int h, int c) {
            return t < n - residual ? from(p.v_scale[((page(t) * 2 + h) * 32 + t % 32) * 2 + c / 32]) / 2.0 : 0;
          },
          exact, limit);
      bool differs = false;
      for (std::size_t i = 0; i < exact.size(); ++i) {
        const double error = std::fabs(out[s * exact.size() + i] - exact[i]);
        ASSERT_LE(error, limit[i] * (1 + 1e-5) + 1e-6) << "n " << n << " at " << i;
        differs |= error > 1e-6;
      }
      EXPECT_EQ(differs, n >= residual) << n;                      // the newest tokens are exact
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, KiviBits, testing::Combine(testing::Values(2, 4), testing::Values(32, 128)));

TEST(Kivi, MoreBitsAreBetter) {
  double error[2];
  for (int i = 0; i < 2; ++i) {
    KiviCache<double> cache(1, i ? 4 : 2, 32);
    cache.append({3}, 0, 500);
    std::vector<double> exact, limit;
    exact_and_bound(3, 500, [](int, int, int) { return 0.0; }, [](int, int, int) { return 0.0; }, exact, limit);
    error[i] = relative_error(cache.decode({3}, 500), exact);
  }
  EXPECT_LT(error[1], error[0] / 2);                               // a step is a fifth as large
  EXPECT_LT(error[1], 0.2);
}

TEST(Kivi, AppendingOneByOneEqualsAtOnceAndFloatFollowsDouble) {
  KiviCache<float> once(2, 4, 32), slowly(2, 4, 32);
  KiviCache<double> reference(2, 4, 32);
  once.append({1, 2}, 0, 333);
  reference.append({1, 2}, 0, 333);
  for (int t = 0; t < 333; ++t) slowly.append({1, 2}, t, t + 1);
  EXPECT_EQ(once.k_codes, slowly.k_codes);
  EXPECT_EQ(once.v_codes, slowly.v_codes);
  EXPECT_TRUE(same_bits(once.decode({1, 2}, 333), slowly.decode({1, 2}, 333)));
  EXPECT_LT(relative_error(once.decode({1, 2}, 333), reference.decode({1, 2}, 333)), 1e-5);
  EXPECT_LT(relative_error(once.decode({1, 2}, 333), once.decode({1, 2}, 333, SplitRule::kNone)), 1e-6);
}

TEST(Kivi, TakesTheBytesItSays) {
  for (int bits : {2, 4}) {
    const KiviCache<float> cache(1, bits, 32);
    const double elements = 2.0 * kPages * kWidth * kKiviGroup;
    const double bytes = static_cast<double>(
        cache.k_codes.size() + cache.v_codes.size() +
        2 * (cache.k_scale.size() + cache.k_zero.size() + cache.v_scale.size() + cache.v_zero.size()));
    EXPECT_EQ(8 * bytes / elements, bits + 1);                     // 5 and 3 bits
  }
}

template <class T>
std::vector<T> fp8_attention(int text, int n, std::vector<Fp8>& k, std::vector<Fp8>& v,
                             const std::vector<float>& scale) {
  const int page_tokens = 16, pages = (n + 15) / 16;
  std::vector<std::int32_t> table(pages), sequence(n, 0), position(n), length{n};
  for (int i = 0; i < pages; ++i) table[i] = pages - 1 - i;
  for (int t = 0; t < n; ++t) position[t] = t;
  k = v = poisoned<Fp8>(pages * page_tokens * kWidth);
  const PagedKv<Fp8> kv{k.data(), v.data(), table.data(), pages, page_tokens, kShape.kv_heads, kShape.head_dim};
  const auto keys = kv_of<T>(1, text, 0, n), values = kv_of<T>(2, text, 0, n);
  fp8_append(Fp8AppendArgs<T>{keys.data(), values.data(), sequence.data(), position.data(), kv, scale.data(),
                              scale.data(), n, 0});
  const auto q = queries_of<T>(kShape, {{text, n - 1}});
  const LaunchPlan plan =
      plan_decode({.contexts = length, .kv_heads = kShape.kv_heads, .units = 8, .rule = SplitRule::kFixedSize});
  SplitSpace<Accum<T>> space(plan, kShape.heads, kShape.head_dim);
  auto out = poisoned<T>(q.size());
  fp8_decode(Fp8DecodeArgs<T>{rows_of(q, out, length, plan, space), kv, scale.data(), scale.data()});
  return out;
}

TEST(Fp8Kv, ErrorIsWithinTheAnalyticBound) {
  const Content content;
  for (float s : {1.0f, 1.0f / 448, 0.01f}) {
    const std::vector<float> scale{s, 0.5f * s};
    for (int n : {1, 40, 700}) {
      std::vector<Fp8> k, v;
      const auto out = fp8_attention<double>(4, n, k, v, scale);
      const auto error = [&](double x, int h) {
        const double largest = 448.0 * scale[h];
        return std::max(
            {std::fabs(x) / 16, scale[h] * 0x1p-10, std::fabs(x) - largest});  // half a step; what saturates
      };
      std::vector<double> exact, limit;
      exact_and_bound(4, n, [&](int t, int h, int c) { return error(content.k(4, t, h, c), h); },
                      [&](int t, int h, int c) { return error(content.v(4, t, h, c), h); }, exact, limit);
      for (std::size_t i = 0; i < exact.size(); ++i)
        ASSERT_LE(std::fabs(out[i] - exact[i]), limit[i] + 1e-6) << n << ' ' << i;
      if (s != 1.0f / 448) {
        EXPECT_LT(relative_error(out, exact), 0.2);                // nothing saturates
      }
      EXPECT_LT(relative_error(fp8_attention<float>(4, n, k, v, scale), out), 1e-5);
    }
  }
}

}  // namespace
}  // namespace orrery
