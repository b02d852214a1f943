#include "policies/batching/s3.hpp"

#include <algorithm>
#include <vector>

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, S3Config& c) {
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once");
  d.field("window", c.window, {1, 1000000}, "Calls at the front of the queue that are packed together");
}

void S3::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  decode_batch(station, plan, config_.max_running);  // 1. all that run; swapped calls come back first
  if (plan.running() >= config_.max_running || plan.available() == 0_blk) return;
  struct Item { Tokens need; CallId call; };
  std::vector<Item> items;
  const auto waiting = newcomers(station, plan);
  for (CallId call : waiting.first(std::min<std::size_t>(waiting.size(), config_.window)))
    items.push_back({station.kv_policy->reserve(station.call(call), station.target(call), station.target(call)), call});
  std::ranges::stable_sort(items, std::greater{}, &Item::need);        // 2. decreasing
  for (const Item& item : items) {                                     // 3. first fit
    if (plan.running() >= config_.max_running) return;
    if (plan.admit(item.call)) plan.prefill(item.call, Tokens::max());
  }
}

}  // namespace orrery
