#include "experiments/conventions.hpp"

#include <algorithm>
#include <vector>

#include "sim/metrics/histogram.hpp"

namespace orrery {
namespace {

enum class Kind { kGuidellm, kAiperf, kMlperf };

constexpr std::int64_t kNone = -1;

class Rederived final : public Convention {
 public:
  explicit Rederived(Kind kind) : kind_(kind) {}

  void row(const Row& r) override {
    const bool done = r.status == Status::kDone;
    Kept k;
    k.arrival = to_ps(r.arrival);
    k.request_class = r.request_class;
    k.done = done;
    if (done) {
      k.ttft = to_ps(r.ttft());
      k.e2e = to_ps(r.e2e());
      k.queue = to_ps(r.queue());
      const std::int64_t n = r.output.value();
      k.gap = n > 1 ? to_ps(r.tpot()) : kNone;
      k.per_token = n > 0 ? k.e2e / n : kNone;
    }
    rows_.push_back(k);
  }

  void apply(Summary& s) const override {
    Histogram tpot, itl;
    std::int64_t measured = 0, good = 0;
    for (const Kept& k : rows_) {
      if (!counts(k, s)) continue;
      ++measured;
      good += is_good(k, s);
      if (k.done && value(k, Metric::kTpot) != kNone) tpot.add(value(k, Metric::kTpot));
      if (k.done && value(k, Metric::kItl) != kNone) itl.add(value(k, Metric::kItl));
    }
    s.latencies.tpot = quantiles(tpot);
    s.latencies.itl = quantiles(itl);
    s.by_class.clear();  // told in the engine's own convention only
    if (s.slo.limits.empty() || measured == 0) return;
    s.slo.attainment = static_cast<double>(good) / static_cast<double>(measured);
    s.slo.goodput_rps = s.window_s > 0 ? static_cast<double>(good) / s.window_s : 0;
    s.slo.met = true;
    for (SloResult& r : s.slo.limits) judge(r, s);
  }

 private:
  struct Kept {
    std::int64_t arrival = 0, ttft = kNone, e2e = kNone, queue = kNone, gap = kNone, per_token = kNone;
    std::uint16_t request_class = 0;
    bool done = false;
  };

  static bool counts(const Kept& k, const Summary& s) { return static_cast<double>(k.arrival) * 1e-12 >= s.warmup_s; }

  std::int64_t value(const Kept& k, Metric m) const {
    switch (m) {
      case Metric::kTtft:
        return k.ttft;
      case Metric::kTpot:
        return kind_ == Kind::kGuidellm ? k.per_token : kind_ == Kind::kAiperf ? kNone : k.gap;
      case Metric::kItl:
        return kind_ == Kind::kMlperf ? kNone : k.gap;
      case Metric::kE2e:
        return k.e2e;
      case Metric::kQueue:
        break;
    }
    return k.queue;
  }

  static bool concerns(const SloLimit& l, const Kept& k) {
    return l.request_class < 0 || l.request_class == k.request_class;
  }

  bool is_good(const Kept& k, const Summary& s) const {
    return k.done && std::all_of(s.slo.limits.begin(), s.slo.limits.end(), [&](const SloResult& r) {
             if (r.limit.metric == Metric::kItl || !concerns(r.limit, k)) return true;  // ITL has no limit per request
             return value(k, r.limit.metric) <= to_ps(r.limit.limit);
           });
  }

  void judge(SloResult& r, Summary& s) const {
    Histogram h;
    for (const Kept& k : rows_) {
      if (!counts(k, s) || !concerns(r.limit, k)) continue;
      const std::int64_t v = value(k, r.limit.metric);
      if (!k.done) h.add_miss();
      else if (v != kNone) h.add(v);
    }
    const std::int64_t at = h.percentile_or_miss(r.limit.percentile);
    r.value_s = at == Histogram::kMiss ? std::numeric_limits<double>::infinity() : static_cast<double>(at) * 1e-12;
    r.met = at <= to_ps(r.limit.limit);
    s.slo.met = s.slo.met && r.met;
  }

  static Quantiles quantiles(const Histogram& h) {
    const auto at = [&](double p) { return static_cast<double>(h.percentile(p)) * 1e-12; };
    return {h.mean() * 1e-12, at(50), at(90), at(95), at(99), static_cast<double>(h.max()) * 1e-12, h.count()};
  }

  Kind kind_;
  std::vector<Kept> rows_;
};

}  // namespace

std::unique_ptr<Convention> make_convention(std::string_view name) {
  if (name == "guidellm") return std::make_unique<Rederived>(Kind::kGuidellm);
  if (name == "aiperf") return std::make_unique<Rederived>(Kind::kAiperf);
  if (name == "mlperf") return std::make_unique<Rederived>(Kind::kMlperf);
  return nullptr;
}

}  // namespace orrery
