// Planning may not change the policy: a plan can be asked for twice.
// expect: in read-only object|cannot assign to non-static data member
#include "sim/policy.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
struct Counting : Batcher {
  int plans = 0;
  void plan(const StationView&, BatchPlan&) const override { ++plans; }
};
#else
struct Counting : Batcher {
  int plans = 0;
  void plan(const StationView&, BatchPlan&) const override {}
  void on_steps(std::int64_t, const GroupView&) override { ++plans; }
};
#endif
