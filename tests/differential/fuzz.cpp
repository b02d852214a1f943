#include "tests/differential/fuzz.hpp"

#include <algorithm>
#include <functional>

#include "policies/register.hpp"
#include "sim/base/rng.hpp"
#include "sim/registry.hpp"
#include "tests/twin/engine_run.hpp"

namespace orrery {
namespace {

class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t index) : rng_(seed, Purpose::kFuzz, index) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool chance(int percent) { return between(1, 100) <= percent; }
  /// From 1 to `high`, small numbers more often.
  std::int64_t skewed(std::int64_t high) {
    std::int64_t n = high;
    for (int i = 0; i < 2; ++i) n = between(1, n);
    return n;
  }
  template <class T>
  const T& pick(const std::vector<T>& items) { return items[rng_.below(items.size())]; }

 private:
  Rng rng_;
};

/// Gives about half of a policy's parameters a random value in the scenario's text.
class RandomDescriber final : public Describer {
 public:
  RandomDescriber(Dice& dice, std::string slot, std::map<std::string, std::string>& out)
      : dice_(dice), slot_(std::move(slot)), out_(out) {}

  void field(std::string_view name, std::int64_t&, Range r, std::string_view, std::string_view) override {
    const auto low = static_cast<std::int64_t>(std::max(r.min, 0.0));
    const auto high = static_cast<std::int64_t>(std::min(r.max, static_cast<double>(low) + 300));
    const bool wide = dice_.chance(50);
    const auto value = wide ? low + dice_.skewed(high - low + 1) - 1 : dice_.between(low, std::min(low + 12, high));
    set(name, std::to_string(value));
  }
  void field(std::string_view name, double&, Range r, std::string_view, std::string_view) override {
    const double low = std::max(r.min, 0.0), high = std::min(r.max, low + 3);
    set(name, std::to_string(low + (high - low) * static_cast<double>(dice_.between(0, 8)) / 8));
  }
  void field(std::string_view name, bool&, std::string_view) override {
    set(name, dice_.chance(50) ? "true" : "false");
  }
  void field(std::string_view, std::string&, std::string_view) override {}
  void field(std::string_view, std::vector<double>&, Range, std::string_view) override {}
  void duration(std::string_view name, Duration&, Range r, std::string_view) override {
    const std::vector<Duration> values{0s, 1ms, 5ms, 10ms, 70ms, 1s};
    const Duration value = dice_.pick(values);
    if (to_seconds(value) >= r.min && to_seconds(value) <= r.max) set(name, duration_text(value));
  }
  void enumeration(std::string_view name, int&, const std::vector<EnumName>& names, std::string_view) override {
    set(name, std::string(dice_.pick(names).name));
  }

 private:
  void set(std::string_view name, const std::string& value) {
    if (dice_.chance(60)) out_[slot_ + "." + std::string(name)] = value;
  }
  Dice& dice_;
  std::string slot_;
  std::map<std::string, std::string>& out_;
};

template <class Interface>
void draw_policy(Dice& dice, const Registry& registry, Scenario& s) {
  const auto& entry = dice.pick(registry.entries<Interface>());
  const std::string slot(slot_name<Interface>());
  s.policies[slot] = entry.name;
  RandomDescriber describer(dice, slot, s.parameters);
  entry.make(describer);
}

void draw_cost(Dice& dice, CostSpec& cost) {
  const std::vector<Duration> constants{0s, 0s, 1ms, 10ms, 10ms, 7ms}, slopes{0s, 1us, 20us, 1ms, 1ms};
  cost.terms.push_back({dice.pick(constants), 0, 1, 0});
  for (std::int64_t n = dice.between(0, 4); n > 0; --n) {
    CostTerm term;
    term.each = dice.pick(slopes);
    term.feature = static_cast<int>(dice.between(1, kCostFeatures.size() - 1));
    if (dice.chance(30)) term.per = dice.between(2, 200);
    else if (dice.chance(30)) term.above = dice.between(1, 300);
    if (term.feature > 8) term.each = std::min<Duration>(term.each, 20us);   // bytes
    cost.terms.push_back(term);
  }
  if (dice.chance(25)) cost.stages = static_cast<int>(dice.between(2, 4));
  if (cost.stages > 1 && dice.chance(50)) cost.hop = 1ms * dice.between(0, 5);
  if (cost.stages > 1 && dice.chance(50)) cost.skew = 1ms * dice.between(0, 8);
}

void draw_prefix(Dice& dice, RequestSpec& r, std::int64_t family) {
  std::int64_t left = r.request.prompt_tokens.value(), chain = family;
  const std::int64_t depth = dice.between(0, 3);
  for (std::int64_t i = 0; i < depth && left > 0; ++i) {
    chain = chain * 4 + (i == 0 ? 1 : dice.between(1, 2));
    const std::int64_t tokens = std::min(left, 4 + chain * 7 % 37);   // the same for all that share the key
    const auto key = static_cast<std::uint64_t>(chain * 64 + tokens);
    r.segments.push_back({key, Tokens32{static_cast<std::int32_t>(tokens)}});
    left -= tokens;
  }
  if (dice.chance(30)) r.request.output_key = static_cast<std::uint64_t>(dice.between(1, 4));
}

/// The next turn of a conversation: its prompt is the history and some more.
void continue_prompt(Dice& dice, RequestSpec& r, const RequestSpec& before) {
  const std::int64_t history = before.request.prompt_tokens.value() + before.request.output_tokens.value();
  std::int64_t named = 0;
  for (const Segment& s : before.segments) named += s.tokens.value();
  if (named != before.request.prompt_tokens.value() || before.request.output_key == 0) return;
  r.segments = before.segments;
  r.segments.push_back({before.request.output_key, before.request.output_tokens});
  r.request.prompt_tokens = Tokens32{static_cast<std::int32_t>(history + dice.between(0, 20))};
}

/// `pressure`: all at about the same time and with much in common, so that calls take KV from each other.
void draw_requests(Dice& dice, Scenario& s, bool prefixes, bool pressure, std::int64_t more) {
  const std::int64_t requests = dice.skewed(24) + more;
  const std::int64_t longest = dice.chance(70) ? 60 : 300, answers = pressure ? 60 : dice.chance(70) ? 20 : 120;
  std::vector<Duration> gaps{0s, 0s, 0s, 1ms, 10ms, 10ms, 13ms, 200ms, 1s};
  if (pressure) gaps.resize(6);
  const bool closed = dice.chance(20), patience = dice.chance(15);
  Duration now{};
  for (std::int64_t i = 0; i < requests; ++i) {
    RequestSpec r;
    r.name = "r" + std::to_string(i);
    r.request.prompt_tokens = Tokens32{static_cast<std::int32_t>(dice.skewed(longest))};
    r.request.output_tokens = Tokens32{static_cast<std::int32_t>(dice.skewed(answers))};
    const std::int64_t unused = dice.chance(60) ? 0 : dice.between(0, 60);
    r.request.max_tokens = r.request.output_tokens + Tokens32{static_cast<std::int32_t>(unused)};
    r.request.priority = static_cast<std::int16_t>(dice.between(-2, 2));
    r.request.session = static_cast<std::uint32_t>(dice.between(0, 3));
    r.request.tenant = static_cast<std::uint16_t>(dice.between(0, 2));
    if (dice.chance(30)) r.request.deadline = Time{now + 1ms * dice.between(0, 900)};
    if (patience && dice.chance(40)) r.request.cancel_after = 1ms * dice.skewed(400);
    if (prefixes) draw_prefix(dice, r, pressure ? 1 : dice.between(1, 2));
    if (closed && i > 2 && dice.chance(70)) {
      const RequestSpec& before = s.requests[static_cast<std::size_t>(dice.between(0, i - 1))];
      r.after = before.name;
      r.at = dice.pick(gaps);
      if (prefixes && dice.chance(50)) continue_prompt(dice, r, before);
    } else {
      now += dice.pick(gaps);
      if (dice.chance(10)) now += Duration{dice.between(0, 2'000'000'000)};
      r.at = now;
    }
    s.requests.push_back(std::move(r));
  }
}

/// Classes whose clients lose patience and try again, and a service that turns calls away. Last of all draws, so that
/// the rest of a scenario is what it was.
void draw_clients(Dice& dice, Scenario& s) {
  if (dice.chance(25)) {
    const auto classes = static_cast<std::size_t>(dice.between(1, 3));
    s.engine.clients.resize(classes);
    s.engine.classes.resize(classes);
    s.engine.qoe.resize(classes);
    for (ClientRule& c : s.engine.clients) {
      if (dice.chance(70)) c.timeout = 1ms * dice.skewed(400);
      if (dice.chance(70)) c.retries = static_cast<int>(dice.between(1, 4));
      if (c.retries > 0 && dice.chance(60)) c.backoff = 1ms * dice.skewed(100);
    }
    for (std::size_t i = 0; i < classes; ++i) {
      ServiceClass& c = s.engine.classes[i];
      if (dice.chance(50)) c.weight = static_cast<double>(dice.between(1, 8)) / 2;
      if (!dice.chance(60)) continue;
      c.ttft = s.engine.qoe[i].ttft = 1ms * dice.skewed(200);
      c.tpot = s.engine.qoe[i].tpot = 1ms * dice.skewed(60);
      s.engine.qoe[i].first_formula = dice.chance(50);
    }
    for (RequestSpec& r : s.requests)
      r.request.request_class = static_cast<std::uint16_t>(dice.between(0, static_cast<std::int64_t>(classes) - 1));
  }
  if (dice.chance(30)) draw_policy<AdmissionPolicy>(dice, shipped_policies(), s);
}

}  // namespace

Scenario random_scenario(std::uint64_t seed, std::uint64_t index, std::int64_t more) {
  Dice dice(seed, index);
  Scenario s;
  s.title = "fuzz seed " + std::to_string(seed) + " index " + std::to_string(index);
  s.engine.seed = seed * 1'000'003 + index;
  if (dice.chance(35)) s.stations = static_cast<int>(dice.between(2, 5));
  draw_policy<Batcher>(dice, shipped_policies(), s);
  draw_policy<KvPolicy>(dice, shipped_policies(), s);
  draw_policy<QueueOrder>(dice, shipped_policies(), s);
  draw_policy<LengthPredictor>(dice, shipped_policies(), s);
  if (s.policies["kv"] == "contiguous") s.parameters["kv.max_length"] = std::to_string(dice.between(20, 300));
  if (s.policies["batching"] == "sequence-scheduling" && dice.chance(60)) {   // its lengths are often wrong
    s.policies["predictor"] = "gaussian";
    std::erase_if(s.parameters, [](const auto& p) { return p.first.starts_with("predictor."); });
    s.parameters["predictor.relative"] = "0.5";
  }
  if (s.stations > 1) draw_policy<Router>(dice, shipped_policies(), s);
  draw_cost(dice, s.cost);
  const std::vector<std::int64_t> blocks{1, 2, 4, 5, 8, 16, 16, 16, 32};
  s.engine.block_tokens = Tokens{dice.pick(blocks)};
  const ScenarioPolicies made(s);
  const bool contiguous = made.kv->contiguous();
  const Tokens block = made.kv->block_tokens() > Tokens{} ? made.kv->block_tokens() : s.engine.block_tokens;
  const std::int64_t pool = dice.chance(60) ? dice.between(40, 300) : dice.between(300, contiguous ? 9000 : 3000);
  s.engine.kv_blocks = Blocks{std::max<std::int64_t>(pool / block.value(), 2)};
  const bool pressure = dice.chance(40);
  if (pressure && dice.chance(60)) s.parameters["kv.preempt"] = "swap";
  if (dice.chance(60)) s.engine.host_tokens = Tokens{dice.between(0, 600)};
  s.engine.kv_bytes_per_token = Bytes{dice.between(0, 3)};
  if (!contiguous && dice.chance(45)) s.engine.prefix = dice.chance(50) ? TwinPrefix::kHash : TwinPrefix::kRadix;
  draw_requests(dice, s, s.engine.prefix != TwinPrefix::kNone || dice.chance(10), pressure, more);
  if (pressure) {   // room for the largest of them, and not much more
    Tokens largest;
    for (const RequestSpec& r : s.requests)
      largest = std::max(largest, Tokens{r.request.prompt_tokens + r.request.output_tokens});
    s.engine.kv_blocks = Blocks{largest.value() * dice.between(100, 250) / 100 / block.value() + 1};
  }
  draw_clients(dice, s);
  if (s.engine.prefix != TwinPrefix::kNone && dice.chance(60))
    s.engine.host_prefix = Blocks{dice.between(1, std::max<std::int64_t>(2, s.engine.kv_blocks.value() * 2))};
  return s;
}

std::string disagreement(const Scenario& s) {
  TwinResult twin;
  try {
    twin = run_twin(s);
  } catch (const std::invalid_argument&) {   // not a scenario
    throw;
  } catch (const std::exception& e) {
    return std::string("the twin throws: ") + e.what() + "\n";
  }
  try {
    const EngineResult fast = run_engine(s, {.fast_forward = true, .verify = true});
    const std::string why = difference(s, twin, fast);
    if (!why.empty()) return "twin (a) and engine (b): " + why;
    const std::string also = difference(fast, run_engine(s, {.fast_forward = false, .verify = false}));
    return also.empty() ? also : "fast-forward on (a) and off (b): " + also;
  } catch (const std::exception& e) {
    return std::string("the engine throws: ") + e.what() + "\n";
  }
}

Scenario minimised(const Scenario& scenario) {
  Scenario best = scenario;
  auto try_it = [&](const std::function<void(Scenario&)>& change) {
    Scenario smaller = best;
    change(smaller);
    try {
      if (to_text(smaller) == to_text(best) || disagreement(smaller).empty()) return false;
    } catch (const std::exception&) {   // not a valid scenario
      return false;
    }
    best = smaller;
    return true;
  };
  for (bool better = true; better;) {
    better = false;
    for (std::size_t i = best.requests.size(); i-- > 0;)
      better |= best.requests.size() > 1 && try_it([&](Scenario& s) {
        const std::string name = s.requests[i].name;
        s.requests.erase(s.requests.begin() + static_cast<std::ptrdiff_t>(i));
        for (RequestSpec& r : s.requests)
          if (r.after == name) r.after.clear();
      });
    for (std::size_t i = best.cost.terms.size(); i-- > 0;)
      better |= try_it([&](Scenario& s) { s.cost.terms.erase(s.cost.terms.begin() + static_cast<std::ptrdiff_t>(i)); });
    better |= try_it([](Scenario& s) { s.cost.stages = 1; });
    better |= try_it([](Scenario& s) { s.cost.hop = s.cost.skew = Duration{}; });
    better |= try_it([](Scenario& s) { s.stations = 1; s.policies.erase("router"); });
    better |= try_it([](Scenario& s) { s.engine.prefix = TwinPrefix::kNone; });
    better |= try_it([](Scenario& s) { s.engine.host_tokens = Tokens{}; });
    better |= try_it([](Scenario& s) { s.engine.host_prefix = Blocks{}; });
    better |= try_it([](Scenario& s) { s.engine.clients.clear(), s.engine.classes.clear(), s.engine.qoe.clear(); });
    for (std::size_t i = 0; i < best.engine.clients.size(); ++i) {
      better |= try_it([&](Scenario& s) { s.engine.clients[i].retries = 0; });
      better |= try_it([&](Scenario& s) { s.engine.clients[i].timeout = Duration::max(); });
      better |= try_it([&](Scenario& s) { s.engine.clients[i].backoff = Duration{}; });
    }
    for (const char* slot : {"admission", "order", "predictor", "router", "kv", "batching"})
      better |= try_it([&](Scenario& s) {
        s.policies.erase(slot);
        std::erase_if(s.parameters, [&](const auto& p) { return p.first.starts_with(std::string(slot) + "."); });
      });
    const auto parameters = best.parameters;
    for (const auto& parameter : parameters)
      better |= try_it([&](Scenario& s) { s.parameters.erase(parameter.first); });
    for (std::size_t i = 0; i < best.requests.size(); ++i) {
      better |= try_it([&](Scenario& s) { s.requests[i].segments.clear(); });
      better |= try_it([&](Scenario& s) { s.requests[i].request.priority = 0; });
      better |= try_it([&](Scenario& s) { s.requests[i].request.session = 0; });
      better |= try_it([&](Scenario& s) { s.requests[i].request.tenant = 0; });
      better |= try_it([&](Scenario& s) { s.requests[i].request.deadline = kNever; });
      better |= try_it([&](Scenario& s) { s.requests[i].request.cancel_after = Duration::max(); });
      better |= try_it([&](Scenario& s) { s.requests[i].at = Duration{}; });
      better |= try_it([&](Scenario& s) { s.requests[i].request.max_tokens = s.requests[i].request.output_tokens; });
    }
  }
  return best;
}

}  // namespace orrery
