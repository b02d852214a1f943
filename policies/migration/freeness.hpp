/// Virtual usage and freeness of an instance (Llumnix, OSDI'24, section 4.4.1 and algorithm 1; AlibabaPAI/llumnix,
/// first public commit, "remaining steps").
///
/// Virtual usage is what calls hold, and beside it: what the first call in the queue needs (so that a long queue head
/// makes an instance look full and calls move away to let it in), a headroom for calls of high priority, infinitely
/// much for an instance that ends. Freeness is the memory that this leaves, in blocks a call of the batch; each lasts a
/// call for as many iterations as it has tokens. It may be negative; an empty instance is infinitely free.
///
///   freeness(occupancy_of(instance, cluster, -1), Blocks{100}, Queue::kHead)
#pragma once

#include <limits>

#include "sim/cluster.hpp"

namespace orrery {

/// One instance as of now.
struct Occupancy {
  Blocks total, free;               ///< free: nobody's, or the prefix cache's alone
  Blocks head, queued;              ///< that the first waiting call needs, that all need
  std::int32_t running = 0, waiting = 0;
  bool urgent = false;              ///< a call of high priority runs
  bool preempted = false;           ///< a call that had begun to answer waits
  bool ends = false;                ///< drains, or will be taken away
};

/// `high`: calls of this priority or a more urgent one count as urgent. O(waiting + running log running).
Occupancy occupancy_of(const Instance&, const Cluster&, int high);

/// Which waiting calls count: the first (migration) or all (dispatch, scaling).
enum class Queue { kHead, kAll };

double freeness(const Occupancy&, Blocks headroom, Queue);

}  // namespace orrery
