/// Padding of a batch that computes a full rectangle: every prompt as long as the longest, every row until the last is
/// done. Used by the request-level batchers. O(batch), asked only when the batch changes.
///
///   plan.pad(prefill_padding(plan));          // prompts of 10 and 100: 90 tokens of nothing
#pragma once

#include "sim/plan.hpp"

namespace orrery {

/// Of the chunks in the plan, all prefilled together from nothing.
BatchPlan::Padding prefill_padding(const BatchPlan&);
/// Of a group that joined together, with the rows of `held` calls that are done.
BatchPlan::Padding decode_padding(const StationView&);

}  // namespace orrery
