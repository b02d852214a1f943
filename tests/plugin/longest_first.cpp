/// An example plug-in: Orca's loop, but the longest waiting prompt is admitted first.
#include "sim/plugin.hpp"

#include <algorithm>
#include <vector>

namespace {

using namespace orrery;

struct LongestFirstConfig {
  int max_running = 16;
};
void describe(Describer& d, LongestFirstConfig& c) {
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once");
}

class LongestFirst final : public Batcher {
 public:
  using Config = LongestFirstConfig;
  explicit LongestFirst(LongestFirstConfig config) : config_(config) {}

  void plan(const StationView& station, BatchPlan& plan) const override {
    plan.repeat = Repeat::while_unchanged();
    plan.decode(station.group);
    std::vector<CallId> waiting(station.waiting.begin(), station.waiting.end());
    std::stable_sort(waiting.begin(), waiting.end(),
                     [&](CallId a, CallId b) { return station.target(a) > station.target(b); });
    for (CallId call : waiting) {
      if (plan.running() >= config_.max_running || !plan.admit(call)) return;
      plan.prefill(call, Tokens::max());
    }
  }

 private:
  LongestFirstConfig config_;
};

}  // namespace

ORRERY_PLUGIN(registry) { registry.add<LongestFirst>("longest-first", "An example plug-in"); }
