#include "experiments/resample.hpp"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kStretches = 32;

struct Stored {
  Request request;
  std::vector<Segment> segments;
};

/// What is drawn as one: a request, or the turns of a session.
struct Unit {
  std::int64_t start = 0;  ///< ps
  std::vector<std::size_t> requests;
  std::uint32_t drawn = 0;  ///< how often already
};

class List final : public RequestSource {
 public:
  explicit List(std::vector<Stored> list) : list_(std::move(list)) {}
  Time peek() const override { return next_ < list_.size() ? list_[next_].request.arrival : kNever; }
  void pop(Request& out) override {
    const Stored& s = list_[next_++];
    out = s.request;
    out.segments = s.segments;
  }
  bool wants_done() const override { return false; }
  std::int64_t size_hint() const override { return static_cast<std::int64_t>(list_.size() - next_); }

 private:
  std::vector<Stored> list_;
  std::size_t next_ = 0;
};

std::vector<Stored> read_all(RequestSource& source) {
  std::vector<Stored> all;
  while (source.peek() != kNever) {
    Stored s;
    source.pop(s.request);
    s.segments.assign(s.request.segments.begin(), s.request.segments.end());
    all.push_back(std::move(s));
  }
  return all;
}

/// In order of start.
std::vector<Unit> units_of(const std::vector<Stored>& all) {
  std::vector<Unit> units;
  std::unordered_map<std::uint32_t, std::size_t> sessions;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Request& r = all[i].request;
    std::size_t at = units.size();
    if (r.session != 0) at = sessions.emplace(r.session, at).first->second;
    if (at == units.size()) units.push_back({to_ps(r.arrival), {}, 0});
    units[at].requests.push_back(i);
  }
  return units;
}

/// The second copy of a prefix is another prefix.
std::uint64_t copied_key(std::uint64_t key, std::uint32_t copy) {
  return copy == 0 || key == 0 ? key : hash_combine(key, copy);
}

class Resampler {
 public:
  Resampler(std::vector<Stored> all, std::uint64_t seed) : all_(std::move(all)), units_(units_of(all_)), seed_(seed) {}

  std::vector<Stored> draw() {
    if (all_.size() < 2) return all_;
    const std::int64_t first = to_ps(all_.front().request.arrival), last = to_ps(all_.back().request.arrival);
    const std::int64_t circle =
        std::max<std::int64_t>(kStretches, last - first + (last - first) / static_cast<std::int64_t>(all_.size() - 1));
    const std::int64_t stretch = ceil_div(circle, kStretches);
    for (std::int64_t j = 0; j < kStretches; ++j) {
      Rng rng(seed_, Purpose::kResample, static_cast<std::uint64_t>(j));
      const auto from = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(circle)));
      const std::int64_t to = from + stretch;
      take(first + from, std::min(to, circle) + first, j * stretch - from);
      if (to > circle) take(first, first + to - circle, j * stretch + circle - from);
    }
    std::stable_sort(out_.begin(), out_.end(),
                     [](const Stored& a, const Stored& b) { return a.request.arrival < b.request.arrival; });
    for (std::size_t i = 0; i < out_.size(); ++i) out_[i].request.number = i;
    return std::move(out_);
  }

 private:
  /// Units that start in [from, to), moved by `shift`.
  void take(std::int64_t from, std::int64_t to, std::int64_t shift) {
    const auto before = [](const Unit& u, std::int64_t t) { return u.start < t; };
    for (auto u = std::lower_bound(units_.begin(), units_.end(), from, before); u != units_.end() && u->start < to;
         ++u) {
      const std::uint32_t copy = u->drawn++;
      const std::uint32_t session = all_[u->requests.front()].request.session == 0 ? 0 : ++sessions_;
      for (const std::size_t i : u->requests) {
        Stored s = all_[i];
        s.request.arrival += Duration{shift};
        if (s.request.deadline != kNever) s.request.deadline += Duration{shift};
        s.request.session = session;
        s.request.output_key = copied_key(s.request.output_key, copy);
        for (Segment& g : s.segments) g.key = copied_key(g.key, copy);
        out_.push_back(std::move(s));
      }
    }
  }

  std::vector<Stored> all_;
  std::vector<Unit> units_;
  std::uint64_t seed_;
  std::uint32_t sessions_ = 0;
  std::vector<Stored> out_;
};

}  // namespace

std::unique_ptr<RequestSource> resample_source(RequestSource& source, std::uint64_t seed) {
  return std::make_unique<List>(Resampler(read_all(source), seed).draw());
}

}  // namespace orrery
