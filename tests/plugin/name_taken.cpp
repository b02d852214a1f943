/// A plug-in whose policy has the name of a built-in one.
#include "sim/plugin.hpp"

namespace {
using namespace orrery;
struct Nobody final : Batcher {
  using Config = NoConfig;
  explicit Nobody(NoConfig) {}
  void plan(const StationView&, BatchPlan&) const override {}
};
}  // namespace

ORRERY_PLUGIN(registry) { registry.add<Nobody>("sarathi", "A second one"); }
