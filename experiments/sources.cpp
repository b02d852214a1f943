#include "experiments/sources.hpp"

#include <algorithm>
#include <utility>

#include "experiments/key_places.hpp"

namespace orrery {
namespace {

class Limited final : public RequestSource {
 public:
  Limited(std::unique_ptr<RequestSource> source, const StopConfig& stop)
      : source_(std::move(source)),
        left_(stop.requests > 0 ? stop.requests : -1),
        until_(stop.after > Duration{} ? Time{} + stop.after : kNever) {}

  Time peek() const override {
    const Time next = left_ == 0 ? kNever : source_->peek();
    return next < until_ ? next : kNever;
  }
  void pop(Request& out) override {
    if (left_ > 0) --left_;
    source_->pop(out);
  }
  void on_done(const Request& r, Time now) override { source_->on_done(r, now); }
  bool wants_done() const override { return source_->wants_done(); }
  std::int64_t size_hint() const override {
    const std::int64_t inner = until_ == kNever ? source_->size_hint() : -1;
    return left_ < 0 ? inner : inner < 0 ? left_ : std::min(left_, inner);
  }

 private:
  std::unique_ptr<RequestSource> source_;
  std::int64_t left_;  ///< -1: no limit
  Time until_;
};

class Classified final : public RequestSource {
 public:
  struct Rule {
    std::vector<bool> tenants, classes, models;   ///< empty: any
    std::int16_t priority;
  };

  Classified(std::unique_ptr<RequestSource> source, std::vector<Rule> rules)
      : source_(std::move(source)), rules_(std::move(rules)) {}

  Time peek() const override { return source_->peek(); }
  void pop(Request& out) override {
    source_->pop(out);
    const auto in = [](const std::vector<bool>& set, std::size_t i) {
      return set.empty() || (i < set.size() && set[i]);
    };
    const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& r) {
      return in(r.tenants, out.tenant) && in(r.classes, out.request_class) && in(r.models, out.model);
    });
    out.request_class = static_cast<std::uint16_t>(rule - rules_.begin());
    if (rule != rules_.end()) out.priority = rule->priority;
  }
  void on_done(const Request& r, Time now) override { source_->on_done(r, now); }
  bool wants_done() const override { return source_->wants_done(); }
  std::int64_t size_hint() const override { return source_->size_hint(); }

 private:
  std::unique_ptr<RequestSource> source_;
  std::vector<Rule> rules_;
};

/// Which numbers the names have; a name that the trace does not have matches nothing.
std::vector<bool> numbers_of(const std::vector<std::string>& wanted, const std::vector<std::string>& names) {
  std::vector<bool> set;
  if (wanted.empty()) return set;
  set.resize(std::max<std::size_t>(1, names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    set[i] = std::find(wanted.begin(), wanted.end(), names[i]) != wanted.end();
  }
  return set;
}

}  // namespace

std::unique_ptr<RequestSource> make_requests(const RunConfig& c, std::uint64_t seed, ResolvedInfo& info) {
  auto source = make_source(c.workload, seed, c.search, info, key_places());
  source = limit_source(std::move(source), c.stop);
  if (!c.classes.empty()) source = classify_source(std::move(source), c.classes, info);
  return source;
}

std::unique_ptr<RequestSource> limit_source(std::unique_ptr<RequestSource> source, const StopConfig& stop) {
  if (stop.requests == 0 && stop.after == Duration{}) return source;
  return std::make_unique<Limited>(std::move(source), stop);
}

std::unique_ptr<RequestSource> classify_source(std::unique_ptr<RequestSource> source,
                                               const std::vector<ClassConfig>& rules, const ResolvedInfo& names) {
  std::vector<Classified::Rule> list;
  for (const ClassConfig& c : rules) {
    list.push_back({numbers_of(c.tenants, names.tenants), numbers_of(c.classes, names.classes),
                    numbers_of(c.models, names.models), static_cast<std::int16_t>(c.priority)});
  }
  return std::make_unique<Classified>(std::move(source), std::move(list));
}

}  // namespace orrery
