#include "traces/fit.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "sim/base/rng.hpp"
#include "traces/prefix.hpp"

namespace orrery {
namespace {

constexpr double kPromptDistance = 0.003, kOutputDistance = 0.01, kReuseDistance = 0.01;
constexpr std::uint64_t kSeed = 1;               // of the draws that compare the model with its source

double mean_of(const std::vector<std::int64_t>& v) {
  Wide sum = 0;
  for (std::int64_t x : v) sum += x;
  return v.empty() ? 0 : static_cast<double>(sum) / static_cast<double>(v.size());
}

/// Five decimals are enough for a reader, and keep the files small.
double rounded(double x) { return std::floor(x * 1e5 + 0.5) / 1e5; }

/// Requests in order of prompt length; equal prompts in an order that has nothing to do with the output.
std::vector<std::size_t> by_prompt(const WorkloadSample& s) {
  std::vector<std::size_t> order(s.prompt.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return s.prompt[a] != s.prompt[b] ? s.prompt[a] < s.prompt[b] : mix64(a + 1) < mix64(b + 1);
  });
  return order;
}

/// Leading blocks of each request that an earlier one had, and how many requests ago.
struct Shared { std::vector<std::int64_t> blocks, age; double root = 0; };

Shared shared_blocks(const std::vector<std::vector<std::uint64_t>>& prompts) {
  Shared out;
  std::unordered_map<std::uint64_t, std::size_t> last;
  std::int64_t roots = 0;
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const auto& ids = prompts[n];
    std::size_t shared = 0;
    while (shared < ids.size() && last.contains(ids[shared])) ++shared;
    out.blocks.push_back(static_cast<std::int64_t>(shared));
    out.age.push_back(shared > 0 ? static_cast<std::int64_t>(n - last[ids[shared - 1]]) : 0);
    roots += shared > 0;
    for (std::uint64_t id : ids) last[id] = n;
  }
  out.root = prompts.size() > 1 ? static_cast<double>(roots) / static_cast<double>(prompts.size() - 1) : 0;
  return out;
}

std::optional<ReuseModel> fit_reuse(const WorkloadSample& s, const std::vector<std::size_t>& order,
                                    std::size_t shares) {
  const Shared shared = shared_blocks(s.blocks);
  ReuseModel r;
  r.block_tokens = kMooncakeBlock;
  r.root_share = rounded(shared.root);
  std::vector<std::int64_t> ages;
  for (std::size_t b = 0; b < shares; ++b) {
    const std::size_t from = order.size() * b / shares, to = order.size() * (b + 1) / shares;
    std::vector<std::int64_t> part;
    for (std::size_t i = from; i < to; ++i) {
      const std::size_t n = order[i];
      if (shared.blocks[n] < 2) continue;
      part.push_back((shared.blocks[n] * 1000 + static_cast<std::int64_t>(s.blocks[n].size()) / 2) /
                     static_cast<std::int64_t>(s.blocks[n].size()));
      ages.push_back(shared.age[n]);
    }
    r.continuing.push_back(rounded(static_cast<double>(part.size()) / static_cast<double>(to - from)));
    if (part.empty()) part.push_back(0);
    r.shared.push_back(QuantileGrid::fit(std::move(part), kReuseDistance));
  }
  if (ages.empty()) return std::nullopt;
  r.age = QuantileGrid::fit(std::move(ages), kReuseDistance);
  return r;
}

double hit_ratio(std::unordered_set<std::uint64_t>& seen, std::span<const std::uint64_t> keys, std::int64_t& hits,
                 std::int64_t& all) {
  for (std::uint64_t key : keys) hits += !seen.insert(key).second;
  all += static_cast<std::int64_t>(keys.size());
  return all > 0 ? static_cast<double>(hits) / static_cast<double>(all) : 0;
}

double model_hit_ratio(const WorkloadModel& m, std::size_t requests) {
  std::unordered_set<std::uint64_t> seen;
  PrefixReuse reuse(*m.reuse, m.prompt, kSeed);
  std::int64_t hits = 0, all = 0;
  double ratio = 0;
  std::vector<std::uint64_t> keys;
  for (std::uint64_t n = 0; n < requests; ++n) {
    keys.clear();
    for (const Segment& s : reuse.segments(n, m.prompt.at(Rng(kSeed, Purpose::kLength, 2 * n).uniform())))
      keys.push_back(s.key);
    ratio = hit_ratio(seen, keys, hits, all);
  }
  return ratio;
}

/// Largest distance between the sample's distribution and `cdf`.
template <class Cdf>
double distance(std::vector<std::int64_t> values, const Cdf& cdf) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double worst = 0;
  for (std::size_t i = 0; i < values.size();) {
    const std::int64_t x = values[i];
    worst = std::max(worst, std::abs(cdf(x - 1) - static_cast<double>(i) / n));
    while (i < values.size() && values[i] == x) ++i;
    worst = std::max(worst, std::abs(cdf(x) - static_cast<double>(i) / n));
  }
  return worst;
}

std::vector<double> mean_ranks(const std::vector<std::int64_t>& v) {
  std::vector<std::size_t> order(v.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return v[a] < v[b]; });
  std::vector<double> rank(v.size());
  for (std::size_t i = 0; i < v.size();) {
    std::size_t j = i;
    while (j < v.size() && v[order[j]] == v[order[i]]) ++j;
    for (std::size_t k = i; k < j; ++k) rank[order[k]] = static_cast<double>(i + j - 1) / 2;
    i = j;
  }
  return rank;
}

Value both(double of_trace, double of_model) {
  Value v = Value::object();
  v["trace"] = rounded(of_trace);
  v["model"] = rounded(of_model);
  return v;
}

}  // namespace

double block_hit_ratio(const WorkloadSample& s) {
  std::unordered_set<std::uint64_t> seen;
  std::int64_t hits = 0, all = 0;
  double ratio = 0;
  for (const auto& keys : s.blocks) ratio = hit_ratio(seen, keys, hits, all);
  return ratio;
}

double rank_correlation(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  const std::vector<double> x = mean_ranks(a), y = mean_ranks(b);
  const double mean = (static_cast<double>(a.size()) - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

WorkloadSample sample_of(TraceReader& trace) {
  WorkloadSample s;
  double sum = 0, squares = 0;
  Time previous{};
  trace.rewind();
  while (const TraceRow* row = trace.next()) {
    const Request& r = row->request;
    if (!s.prompt.empty()) {
      const double gap = to_seconds(r.arrival - previous);
      sum += gap;
      squares += gap * gap;
    }
    previous = r.arrival;
    s.prompt.push_back(r.prompt_tokens.value());
    s.output.push_back(r.output_tokens.value());
    if (trace.facts().format == TraceFormat::kMooncake) {
      auto& blocks = s.blocks.emplace_back();
      for (const Segment& g : r.segments) blocks.push_back(g.key);
    }
  }
  trace.rewind();
  const double gaps = static_cast<double>(s.prompt.size()) - 1;
  if (sum > 0 && gaps >= 2) {
    const double mean = sum / gaps;
    s.rate = 1 / mean;
    s.gap_cv = std::sqrt(std::max(squares / gaps - mean * mean, 0.0)) / mean;
  }
  return s;
}

WorkloadModel fit_model(const WorkloadSample& sample, std::string name, std::string source, std::size_t shares) {
  WorkloadModel m;
  m.name = std::move(name);
  m.source = std::move(source);
  m.prompt = QuantileGrid::fit(sample.prompt, kPromptDistance);
  shares = std::clamp<std::size_t>(sample.prompt.size() / 64, 1, shares);
  const std::vector<std::size_t> order = by_prompt(sample);
  for (std::size_t b = 0; b < shares; ++b) {
    std::vector<std::int64_t> part;
    for (std::size_t i = order.size() * b / shares; i < order.size() * (b + 1) / shares; ++i)
      part.push_back(sample.output[order[i]]);
    m.output.push_back(QuantileGrid::fit(std::move(part), kOutputDistance));
  }
  if (sample.rate > 0) {
    m.rate = rounded(sample.rate);
    m.cv = std::clamp(rounded(sample.gap_cv), 0.01, 100.0);
  }
  const auto has_blocks = [](const auto& ids) { return !ids.empty(); };
  if (std::any_of(sample.blocks.begin(), sample.blocks.end(), has_blocks)) m.reuse = fit_reuse(sample, order, shares);
  return m;
}

Value fit_errors(const WorkloadModel& m, const WorkloadSample& s) {
  std::vector<std::int64_t> prompt, output;
  for (std::uint64_t n = 0; n < 50'000; ++n) {
    const auto [p, o] =
        m.draw(Rng(kSeed, Purpose::kLength, 2 * n).uniform(), Rng(kSeed, Purpose::kLength, 2 * n + 1).uniform());
    prompt.push_back(p);
    output.push_back(o);
  }
  Value v = Value::object();
  v["requests"] = static_cast<std::int64_t>(s.prompt.size());
  v["ks_prompt"] = rounded(distance(s.prompt, [&](std::int64_t x) { return m.prompt.cdf(x); }));
  v["ks_output"] = rounded(distance(s.output, [&](std::int64_t x) { return m.output_cdf(x); }));
  v["mean_prompt"] = both(mean_of(s.prompt), m.mean_prompt());
  v["mean_output"] = both(mean_of(s.output), m.mean_output());
  v["rank_correlation"] = both(rank_correlation(s.prompt, s.output), rank_correlation(prompt, output));
  if (m.reuse) v["block_hit_ratio"] = both(block_hit_ratio(s), model_hit_ratio(m, 10 * s.prompt.size()));
  return v;
}

Value fit_workload(TraceReader& trace, std::string name, std::string source) {
  const WorkloadSample sample = sample_of(trace);
  const WorkloadModel model = fit_model(sample, std::move(name), std::move(source));
  Value v = model.to_value();
  v["fit"] = fit_errors(model, sample);
  return v;
}

}  // namespace orrery
