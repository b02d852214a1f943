/// Conservation at the end of every run, in Release too (DESIGN section 5): what must hold exactly between sums that
/// were made in different ways. A broken one is an error of the engine, never of the user.
///
///   for (const std::string& line : broken_identities(facts)) ...     // empty if the run is sound
///
/// Each message names the time, the replica and the request where there is one, the seed, and what differs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/metrics/row.hpp"
#include "sim/metrics/spend.hpp"

namespace orrery {

/// State at the end of a run.
struct RunEnd {
  struct Station {
    Blocks held, free, cached, total;  ///< by leases, by nobody, by the prefix cache alone, all
    bool idle = true;                  ///< no call is left at it
    Tokens swapped_in{}, swapped_out{};
    struct Host {                      ///< cached prefixes in host memory (prefix_cache.hpp)
      Blocks room{}, held{}, peak{};
      std::int64_t offloaded = 0, restored = 0, superseded = 0, dropped = 0;
      Blocks untold_in{}, untold_out{};   ///< of restored and offloaded: no step was told of the copy
    } host{};
    Tokens block_tokens{};
    Bytes token_bytes{};               ///< of KV, for the bytes of copies
  };
  Time end{};                          ///< of the last event
  std::vector<Station> stations{};     ///< empty: not checked
  std::vector<Duration> paid{};        ///< by station, time for which it was there; empty: all the time
  std::vector<Duration> nodes{};       ///< by node of a capacity trace, the same
  std::vector<double> usd{};           ///< by station, where a signal prices it; negative: its hourly price
  struct Row {
    std::string name;
    std::vector<StationId> stations;
    Wide sampled = 0, rest = 0;        ///< fJ: of all telemetry samples; of what is in it besides devices
  };
  std::vector<Row> rows{};             ///< with a power budget
  std::optional<ChargeResult> charges{};   ///< where requests are charged
  Wide told_ahead = 0;                 ///< nJ of stages that were told of and whose steps have not ended
};

/// Everything that the identities compare.
struct RunFacts {
  std::uint64_t seed = 0;
  RunEnd end;
  std::optional<Time> backwards;       ///< when time first ran backwards
  std::optional<Row> odd;              ///< the first row whose times do not follow each other
  std::int64_t offered = 0;            ///< arrivals
  std::int64_t rows[kStatuses] = {};   ///< by Status
  std::int64_t in_system = 0;          ///< arrivals less departures
  Wide area = 0;                       ///< integral of the number in the system, ps
  Wide sojourn = 0;                    ///< sum over rows of the time in the system, until the end for those in flight
  std::int64_t computed = 0;           ///< tokens, summed over steps, without padding
  std::int64_t done = 0, in_flight = 0;///< tokens computed since the last admission, summed over rows
  std::int64_t recomputed = 0, wasted = 0;  ///< tokens given up, summed over departures
  bool restarted = false;              ///< calls were restarted or failed while running
  std::int64_t gaps = 0;               ///< output - 1, summed over rows
  std::int64_t itl = 0;                ///< gaps recorded
  Wide energy = 0;                     ///< of all steps, nJ
  Bytes host_in, host_out;             ///< copied during steps that have ended
  bool aborted = false;                ///< a step never ended
  std::vector<Wide> station_energy{};
  struct Slots {
    Wide held = 0, used = 0, reserved = 0;  ///< integrals over time of KV slots
  };
  std::vector<Slots> slots{};          ///< by station
  std::vector<Wide> metered{};         ///< by row with a power budget: fJ of its devices and of the rest
};

std::vector<std::string> broken_identities(const RunFacts& facts);

}  // namespace orrery
