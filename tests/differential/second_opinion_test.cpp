/// Three batchers written a second time, from their papers and with arithmetic of their own instead of BatchPlan's: in
/// every plan of a fuzzed run on the twin, the policy and the second opinion must name the same departures, admissions
/// and chunks. Paged KV on demand with recompute, no prefix cache, no order that preempts.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "sim/plan.hpp"
#include "tests/differential/fuzz.hpp"

namespace orrery {
namespace {

struct Opinion {
  std::vector<std::pair<CallId, Leave>> leave;
  std::vector<CallId> admit;
  std::vector<BatchPlan::Chunk> chunks;
  std::int64_t decodes = 0;
};

struct Limits { std::int64_t token_budget, max_running; };

/// What is left of a station while an opinion is formed.
struct Draft {
  explicit Draft(const StationView& v)
      : view(v), block(v.kv.block_tokens.value()), free(v.kv.free.value()), running(v.running),
        members(v.group.members.begin(), v.group.members.end()), prefilling(v.prefilling.begin(), v.prefilling.end()) {}

  const StationView& view;
  std::int64_t block, free, running;
  std::vector<CallId> members, prefilling;
  Opinion opinion;

  std::int64_t blocks(std::int64_t tokens) const { return (tokens + block - 1) / block; }
  bool at_block_end(CallId id) const {
    return view.context(id).value() % block == 0 && view.context(id).value() >= view.progress(id).reserved.value();
  }

  /// Everybody who runs gets one token; while blocks are short, the last of all that run gives way.
  void decode() {
    auto needs_block = [&](CallId id) { return at_block_end(id); };
    auto needed = [&] { return std::count_if(members.begin(), members.end(), needs_block); };
    auto before = [&](CallId a, CallId b) { return view.before(a, b); };
    while (needed() > free) {
      std::vector<CallId> all = members;
      all.insert(all.end(), prefilling.begin(), prefilling.end());
      if (all.empty()) break;
      const CallId last = *std::max_element(all.begin(), all.end(), before);
      opinion.leave.push_back({last, running == 1 ? Leave::kFail : Leave::kRecompute});
      free += blocks(std::max(view.context(last).value(), std::int64_t{view.progress(last).reserved.value()}));
      --running;
      std::erase(members, last);
      std::erase(prefilling, last);
    }
    free -= needed();
    opinion.decodes = static_cast<std::int64_t>(members.size());
  }

  /// Nobody is let in by an iteration that throws somebody out. Room for the whole prompt, and the watermark on top of
  /// it unless nobody runs.
  bool admit(CallId id) {
    if (!opinion.leave.empty()) return false;
    const std::int64_t need = blocks(view.target(id).value());
    if (need + (running > 0 ? view.kv.watermark.value() : 0) > free) return false;
    free -= need;
    ++running;
    opinion.admit.push_back(id);
    return true;
  }

  std::int64_t chunk(CallId id, std::int64_t at_most) {
    const std::int64_t q = std::min(at_most, view.remaining(id).value());
    if (q > 0) opinion.chunks.push_back({id, Tokens{q}});
    return q;
  }
};

/// Algorithm 3 of Sarathi-Serve.
Opinion sarathi(const StationView& view, const Limits& limits) {
  Draft draft(view);
  draft.decode();
  std::int64_t n = draft.opinion.decodes;
  for (CallId id : draft.prefilling)
    if (n < limits.token_budget) n += draft.chunk(id, limits.token_budget - n);
  for (CallId id : view.waiting) {
    if (n >= limits.token_budget || draft.running >= limits.max_running || !draft.admit(id)) break;
    n += draft.chunk(id, limits.token_budget - n);
  }
  return draft.opinion;
}

/// Algorithm 1 of Orca: as many as a batch holds, by arrival, each new one with its whole prompt.
Opinion orca(const StationView& view, const Limits& limits) {
  Draft draft(view);
  draft.decode();
  std::int64_t batch = draft.opinion.decodes;
  for (CallId id : view.waiting) {
    if (batch >= limits.max_running || !draft.admit(id)) break;
    draft.chunk(id, view.target(id).value());
    ++batch;
  }
  return draft.opinion;
}

/// vLLM 0.2, _schedule: prompts alone as far as the budget goes, or else one token for everybody.
Opinion vllm(const StationView& view, const Limits& limits) {
  Draft draft(view);
  std::int64_t left = limits.token_budget;
  for (CallId id : view.waiting) {
    const std::int64_t prompt = view.target(id).value();
    if (prompt > left && !draft.opinion.chunks.empty()) break;
    if (draft.running >= limits.max_running || !draft.admit(id)) break;
    left -= draft.chunk(id, prompt);
  }
  if (draft.opinion.chunks.empty()) draft.decode();
  return draft.opinion;
}

class Checked final : public Batcher {
 public:
  using Second = Opinion (*)(const StationView&, const Limits&);
  Checked(Batcher& first, Second second, Limits limits) : first_(first), second_(second), limits_(limits) {}

  void plan(const StationView& view, BatchPlan& plan) const override {
    first_.plan(view, plan);
    ++plans;
    const Opinion other = second_(view, limits_);
    auto same = [](const auto& a, const auto& b, auto equal) {
      return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
    };
    const bool agree =
        same(plan.leave(), other.leave, [](auto& a, auto& b) { return a.call == b.first && a.how == b.second; }) &&
        same(plan.admitted(), other.admit, [](auto& a, CallId b) { return a.call == b; }) &&
        same(plan.chunks(), other.chunks, [](auto& a, auto& b) { return a == b; }) &&
        plan.decoding().value() == other.decodes;
    if (!agree) throw std::logic_error("a plan at " + std::to_string(to_ps(view.now)) + " ps has a second opinion");
    changes += plan.changes();
  }
  CallId victim(const StationView& view, const BatchPlan& plan) const override { return first_.victim(view, plan); }
  mutable std::int64_t plans = 0, changes = 0;

 private:
  Batcher& first_;
  Second second_;
  Limits limits_;
};

class SecondOpinion : public testing::TestWithParam<std::pair<const char*, Checked::Second>> {};

TEST_P(SecondOpinion, IsTheSameInEveryPlan) {
  std::int64_t plans = 0, changes = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Scenario s = random_scenario(21, i);
    const Limits limits{1 + static_cast<std::int64_t>(i % 90), 1 + static_cast<std::int64_t>(i % 7)};
    s.policies["batching"] = GetParam().first;
    s.policies["kv"] = "paged";
    s.parameters.erase("order.preemptive");
    if (s.policies["order"] == "mlfq") {
      s.policies["order"] = "fcfs";
      std::erase_if(s.parameters, [](const auto& p) { return p.first.starts_with("order."); });
    }
    std::erase_if(s.parameters,
                  [](const auto& p) { return p.first.starts_with("batching.") || p.first.starts_with("kv."); });
    s.parameters["batching.max_running"] = std::to_string(limits.max_running);
    if (GetParam().first != std::string("orca"))
      s.parameters["batching.token_budget"] = std::to_string(limits.token_budget);
    s.parameters["kv.watermark"] = i % 3 ? "0" : "0.1";
    s.engine.prefix = TwinPrefix::kNone;
    std::vector<std::unique_ptr<Checked>> checks;
    auto around = [&](Batcher& first) {
      checks.push_back(std::make_unique<Checked>(first, GetParam().second, limits));
      return checks.back().get();
    };
    EXPECT_NO_THROW(run_twin(s, around)) << to_text(s);
    for (const auto& check : checks) plans += check->plans, changes += check->changes;
  }
  EXPECT_GT(plans, 10000);
  EXPECT_GT(changes, 3000);
}

INSTANTIATE_TEST_SUITE_P(Batchers, SecondOpinion,
                         testing::Values(std::pair{"sarathi", &sarathi}, std::pair{"orca", &orca},
                                         std::pair{"vllm", &vllm}),
                         [](const auto& batcher) { return std::string(batcher.param.first); });

}  // namespace
}  // namespace orrery
