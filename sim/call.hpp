/// A call is one prompt and its output at one pool of stations: the unit that batchers see. A client's unit is a
/// request (request.hpp); for plain traces one request is one call.
///
/// `Call` holds what a serving system knows when a request arrives; the true output length is not in it. `Progress`
/// changes only when a call is admitted, finishes a chunk, joins or leaves a decode group: while it decodes, its state
/// follows from the group's clock, so a run of k iterations touches no call. Read it through StationView (policy.hpp).
/// Rows are part of the budget of 128 bytes a request in flight (docs/PERFORMANCE.md).
#pragma once

#include <cstdint>

#include "sim/base/slot.hpp"
#include "sim/base/units.hpp"

namespace orrery {

using CallId = Slot<struct CallTag>;
using StationId = Id<struct StationTag>;
using GroupId = Id<struct GroupTag>;   ///< one decode group a pipeline lane
using NodeId = Slot<struct PrefixNodeTag>;

struct Call {
  std::uint64_t number = 0;          ///< ordinal of arrival, unique in a run
  Time arrival{};
  Time deadline = kNever;
  Tokens32 prompt;
  Tokens32 max_tokens;               ///< most output tokens the client allows; the true number is not known here
  Tokens32 predicted_low, predicted_high;  ///< output length by the LengthPredictor, [low, high]; both 0: no prediction
  std::uint32_t session = 0;
  std::uint16_t tenant = 0, request_class = 0, model = 0;
  std::int16_t priority = 0;         ///< lower is more urgent
  std::uint32_t turn = 0;            ///< from 0 within its session
};

enum class Stage : std::uint8_t { kWaiting, kPrefill, kDecode, kSwapped, kHeld, kMoving, kGone };

/// Where a call stands, as of its last change.
struct Progress {
  Tokens32 computed;      ///< tokens whose KV exists (prefix hits included)
  Tokens32 emitted;       ///< output tokens delivered
  Tokens32 reserved;      ///< tokens the lease has room for (0: no KV held)
  std::uint32_t joined = 0;   ///< group clock modulo 2^32 when it joined, if decoding; see ran()
  std::int32_t place = -1;///< index among the members of its group
  std::int16_t lane = -1; ///< pipeline lane that runs it
  Stage stage = Stage::kWaiting;
  std::uint8_t preemptions = 0;   ///< saturates at 255

  /// Iterations for which it has decoded, by the clock of its group; its output has fewer than 2^31 tokens.
  std::int64_t ran(std::int64_t clock) const { return static_cast<std::uint32_t>(clock) - joined; }
};

struct CallRow {
  Call call;
  Progress progress;
};
static_assert(sizeof(CallRow) == 80);

}  // namespace orrery
