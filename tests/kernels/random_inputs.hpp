/// Inputs of the kernel tests: fresh random numbers in every run, the same in every format (all are bf16 values), and
/// the same for a (sequence, token) wherever a test puts it. ORRERY_TEST_SEED=N repeats a run; the seed is printed.
///
///   auto x = random_vector<float>(1000, "x");      TestKv<float> kv({{7, 100}}, 16, shape);
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/common/attention_core.hpp"
#include "kernels/common/check.hpp"
#include "sim/base/rng.hpp"

namespace orrery {

std::uint64_t test_seed();

inline std::uint64_t salted(std::string_view name) {
  std::uint64_t h = test_seed();
  for (char c : name) h = hash_combine(h, static_cast<unsigned char>(c));
  return h;
}

/// Uniform in [-1, 1), a multiple of 2^-7: a number that all formats but fp8 hold exactly, and never zero.
inline float small_value(std::uint64_t key) {
  const auto n = static_cast<int>(mix64(key) >> 56) - 128;
  return (static_cast<float>(n) + (n == 0)) * 0x1p-7f;
}

template <class T>
std::vector<T> random_vector(std::size_t n, std::string_view name, float scale = 1) {
  std::vector<T> x(n);
  const std::uint64_t salt = salted(name);
  for (std::size_t i = 0; i < n; ++i) x[i] = to<T>(static_cast<Accum<T>>(scale * small_value(hash_combine(salt, i))));
  return x;
}

template <class T>
std::vector<T> poisoned(std::size_t n) {
  std::vector<T> x(n);
  fill_poison(std::span<T>(x));
  return x;
}

template <class T>
std::vector<double> as_double(const std::vector<T>& x) {
  std::vector<double> out;
  for (const T& v : x) out.push_back(from(v));
  return out;
}

template <class T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return same_bits(std::span<const T>(a), std::span<const T>(b));
}

template <class T, class R>
double relative_error(const std::vector<T>& out, const std::vector<R>& reference) {
  return relative_error(std::span<const T>(out), std::span<const R>(reference));
}

/// The bound of a format against double: float 1e-5, bf16 1e-2 (kernels read and write it), double nearly exact.
template <class T>
double bound() {
  return std::is_same_v<T, double> ? 1e-13 : std::is_same_v<T, float> ? 1e-5 : 1e-2;
}

/// The bound between two ways of adding up the same terms.
template <class T>
double rounding() {
  return std::is_same_v<T, Bf16> ? 1e-3 : bound<T>() / 10;
}

struct AttentionShape {
  int heads = 4, kv_heads = 2, head_dim = 64;
  int group() const { return heads / kv_heads; }
  double scale() const { return head_dim == 64 ? 0.125 : 0.08838834764831845; }
};

/// Queries, keys and values as functions of what they belong to. `text` names the content of a sequence: equal texts
/// have equal tokens.
struct Content {
  std::uint64_t salt = salted("content");
  float value(int kind, int text, std::int64_t token, int head, int channel) const {
    return small_value(hash_combine(hash_combine(hash_combine(salt + kind, text), token), head * 1024 + channel));
  }
  float q(int text, std::int64_t token, int head, int channel) const {
    return 2 * value(0, text, token, head, channel);
  }
  float k(int text, std::int64_t token, int head, int channel) const { return value(1, text, token, head, channel); }
  float v(int text, std::int64_t token, int head, int channel) const { return value(2, text, token, head, channel); }
};

/// A sequence of a batch: which text, how many of its tokens are in the pool.
struct Held {
  int text = 0, tokens = 0;
};

/// A paged pool that holds some sequences, their pages in random places; all that belongs to no token is NaN.
template <class T>
class TestKv {
 public:
  TestKv(const std::vector<Held>& held, int page_tokens, AttentionShape shape)
      : shape_(shape), page_tokens_(page_tokens) {
    int pages = 3;
    for (const Held& h : held) {
      max_pages_ = std::max(max_pages_, (h.tokens + page_tokens - 1) / page_tokens);
      pages += (h.tokens + page_tokens - 1) / page_tokens;
    }
    k = v = poisoned<T>(static_cast<std::size_t>(pages) * page_tokens * shape.kv_heads * shape.head_dim);
    std::vector<std::int32_t> order(pages);
    for (int i = 0; i < pages; ++i) order[i] = i;
    for (int i = pages; i-- > 1;) std::swap(order[i], order[mix64(salted("pages") + i) % (i + 1)]);
    table.assign(held.size() * max_pages_, -1);
    int next = 0;
    for (std::size_t s = 0; s < held.size(); ++s) {
      for (int p = 0; p * page_tokens < held[s].tokens; ++p) table[s * max_pages_ + p] = order[next++];
      for (int t = 0; t < held[s].tokens; ++t) write(static_cast<int>(s), t, held[s].text, t);
    }
  }

  /// Puts the token `source` of a text at place `token` of sequence s.
  void write(int s, int token, int text, std::int64_t source) {
    const auto view = this->view();
    for (int h = 0; h < shape_.kv_heads; ++h) {
      for (int c = 0; c < shape_.head_dim; ++c) {
        view.key(s, token, h)[c] = to<T>(static_cast<Accum<T>>(content.k(text, source, h, c)));
        view.value(s, token, h)[c] = to<T>(static_cast<Accum<T>>(content.v(text, source, h, c)));
      }
    }
  }

  PagedKv<T> view() {
    return {k.data(), v.data(), table.data(), max_pages_, page_tokens_, shape_.kv_heads, shape_.head_dim};
  }

  Content content;
  std::vector<T> k, v;
  std::vector<std::int32_t> table;

 private:
  AttentionShape shape_;
  int page_tokens_, max_pages_ = 1;
};

/// The textbook formula, in double: out (heads, head_dim) of the query of `token`, over the tokens listed.
inline std::vector<double> plain_attention(AttentionShape shape, int text, std::int64_t token,
                                           const std::vector<std::int64_t>& seen) {
  const Content content;
  std::vector<double> out(static_cast<std::size_t>(shape.heads) * shape.head_dim);
  for (int h = 0; h < shape.heads; ++h) {
    std::vector<double> weight;
    double most = -1e300, sum = 0;
    for (std::int64_t t : seen) {
      double s = 0;
      for (int c = 0; c < shape.head_dim; ++c)
        s += double{content.q(text, token, h, c)} * content.k(text, t, h / shape.group(), c);
      weight.push_back(s * shape.scale());
      most = std::max(most, weight.back());
    }
    for (double& w : weight) sum += w = std::exp(w - most);
    for (std::size_t j = 0; j < seen.size(); ++j) {
      for (int c = 0; c < shape.head_dim; ++c) {
        out[h * shape.head_dim + c] += weight[j] / sum * content.v(text, seen[j], h / shape.group(), c);
      }
    }
  }
  return out;
}

inline std::vector<std::int64_t> first_tokens(std::int64_t n) {
  std::vector<std::int64_t> t(n);
  for (std::int64_t i = 0; i < n; ++i) t[i] = i;
  return t;
}

/// Queries of given (text, token), (rows, heads, head_dim).
template <class T>
std::vector<T> queries_of(AttentionShape shape, const std::vector<std::pair<int, std::int64_t>>& rows) {
  const Content content;
  std::vector<T> q;
  for (const auto& [text, token] : rows) {
    for (int h = 0; h < shape.heads; ++h)
      for (int c = 0; c < shape.head_dim; ++c) q.push_back(to<T>(static_cast<Accum<T>>(content.q(text, token, h, c))));
  }
  return q;
}

template <class T>
std::span<const T> row_of(const std::vector<T>& out, AttentionShape shape, std::size_t row) {
  const auto width = static_cast<std::size_t>(shape.heads) * shape.head_dim;
  return std::span<const T>(out).subspan(row * width, width);
}

}  // namespace orrery
