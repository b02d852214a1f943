/// The bound of VTC (Theorem 4.4) as a property of random runs on the twin.
#include <gtest/gtest.h>

#include <algorithm>

#include "policies/fairness/vtc.hpp"
#include "tests/differential/fuzz.hpp"

namespace orrery {
namespace {

/// VTC that keeps the service of each tenant (a prompt when admitted, tokens when delivered, as the theorem counts),
/// and how far two that are both backlogged drift apart within one such time.
class Watched final : public QueueOrder {
 public:
  explicit Watched(VtcConfig config) : vtc_(config) {}
  std::int64_t key(CallId id, const Call& c, const Progress& p, const StationView* v) const override {
    return vtc_.key(id, c, p, v);
  }
  bool dynamic() const override { return true; }
  void rank(const StationView& v, std::span<std::int64_t> keys) const override { vtc_.rank(v, keys); }
  bool wants_events() const override { return true; }
  void on_event(const CallEvent& e) override {
    vtc_.on_event(e);
    if (tenant_.size() <= e.id.index) tenant_.resize(e.id.index + std::size_t{1});
    const std::size_t t = e.call->tenant;
    tenant_[e.id.index] = t;
    if (e.kind == CallEvent::kArrived) ++waiting_[t];
    if (e.kind == CallEvent::kAdmitted) --waiting_[t], service_[t] += e.call->prompt.value();
    if (e.kind == CallEvent::kFirstToken) service_[t] += 2;
    look();
  }
  void on_steps(std::int64_t k, const GroupView& g) override {
    vtc_.on_steps(k, g);
    for (CallId id : g.members) service_[tenant_[id.index]] += 2 * k;
    look();
  }
  std::int64_t drift = 0;

 private:
  void look() {
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t b = 0; b < a; ++b) {
        auto& [low, high] = range_[a][b];
        const std::int64_t d = service_[a] - service_[b];
        if (waiting_[a] == 0 || waiting_[b] == 0) low = high = d;
        low = std::min(low, d);
        high = std::max(high, d);
        drift = std::max(drift, high - low);
      }
  }
  Vtc vtc_;
  std::vector<std::size_t> tenant_;
  std::int64_t service_[3] = {}, waiting_[3] = {};
  std::pair<std::int64_t, std::int64_t> range_[3][3] = {};
};

/// No prediction, no preemption: KV for all that a call may need is promised at admission.
TEST(VtcBound, ServiceOfBackloggedTenantsStaysWithinTheBound) {
  std::int64_t runs = 0, close = 0;
  for (std::uint64_t i = 0; i < 600; ++i) {
    Scenario s = random_scenario(11, i, 60);
    s.stations = 1;
    s.cost.stages = 1;
    s.engine.prefix = TwinPrefix::kNone;
    s.engine.clients.clear();
    s.engine.classes.clear();
    s.engine.qoe.clear();
    s.policies = {{"batching", i % 2 ? "vllm" : "orca"}, {"kv", "paged"}};
    s.parameters = {{"kv.reserve", "no-evict"}, {"kv.watermark", "0"}};
    s.engine.kv_blocks =
        Blocks{std::max<std::int64_t>(s.engine.kv_blocks.value(), 700 / s.engine.block_tokens.value() + 1)};
    std::int64_t longest = 0;
    for (RequestSpec& r : s.requests) {
      r.request.request_class = 0;
      r.request.cancel_after = Duration::max();
      longest = std::max<std::int64_t>(longest, r.request.prompt_tokens.value());
    }
    Watched watched({});
    ScenarioPolicies policies(s);
    TwinConfig config = s.engine;
    config.cost = &policies.cost;
    config.kv = policies.kv.get();
    config.batchers = {policies.batchers.front().get()};
    config.orders = {&watched};
    ScenarioSource source(s);
    run_twin(config, source);
    const std::int64_t room = s.engine.kv_blocks.value() * s.engine.block_tokens.value();
    ASSERT_LE(watched.drift, 2 * std::max(longest, 2 * room)) << to_text(s);
    ++runs;
    close += watched.drift > room / 2;
  }
  EXPECT_EQ(runs, 600);
  EXPECT_GT(close, 20) << "the bound is not far away";
}

}  // namespace
}  // namespace orrery
