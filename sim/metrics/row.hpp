/// One line of the result for each request, written when it leaves the system or when the run ends. All times are
/// absolute simulated picoseconds; kNever where it did not happen. By value.
///
///   recorder.on_row({.number = 7, .arrival = a, .finish = now, .status = Status::kRejected});
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/base/units.hpp"
#include "sim/call.hpp"
#include "sim/metrics/spend.hpp"

namespace orrery {

enum class Status : std::uint8_t { kDone, kRejected, kFailed, kCancelled, kTimedOut, kInFlight };
inline constexpr int kStatuses = 6;

constexpr std::string_view name(Status s) {
  constexpr std::string_view names[] = {"done", "rejected", "failed", "cancelled", "timed_out", "in_flight"};
  return names[static_cast<int>(s)];
}

struct Row {
  std::uint64_t number = 0;
  Time arrival{};
  Time first_schedule = kNever;   ///< start of the plan that first admitted it
  Time first_token = kNever;
  Time finish = kNever;           ///< left the system; kNever if in flight
  Tokens32 prompt{};
  Tokens32 output{};              ///< tokens emitted
  Tokens32 cached{};              ///< prompt tokens found in the prefix cache at the first admission
  Tokens32 computed{};            ///< tokens computed for it since its last admission (not yet recomputed or wasted)
  StationId station{};            ///< that first ran it; none if never scheduled
  StationId decode_station{};     ///< that decoded it last, where it came with its KV; none: `station`
  Duration transfer{};            ///< time for which it stood still while its KV was copied
  Duration load{};                ///< time for which it waited for weights to be loaded
  Duration retried{};             ///< from the first attempt's arrival to the last one's
  Duration set_back{};            ///< from the first schedule to the last one before the first token, if they differ
  Duration decode_queue{};        ///< time for which its KV waited for room where it decodes
  std::uint32_t session = 0;
  std::uint16_t tenant = 0, request_class = 0, model = 0;
  std::uint16_t preemptions = 0;  ///< of the last attempt, as all the times but arrival and finish
  std::uint16_t migrations = 0;   ///< moves between instances after its first token, disaggregation left out
  std::uint16_t retries = 0;      ///< attempts before it
  Status status = Status::kDone;
  double qoe = -1;                ///< quality of experience, 0 to 1 (qoe.hpp); negative: its class states none
  Spend spent{};                  ///< its share of the steps that it was in, all attempts (engine/charges.hpp)

  Duration queue() const { return first_schedule - arrival; }   ///< each only if its times are set
  Duration ttft() const { return first_token - arrival; }
  Duration e2e() const { return finish - arrival; }
  /// (E2E - TTFT) / (n - 1), rounded down to a picosecond; only for output > 1.
  Duration tpot() const { return (finish - first_token) / (output.value() - 1); }
};

/// Receives rows in the order in which requests leave; called from the simulation's thread.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void row(const Row&) = 0;
};

}  // namespace orrery
