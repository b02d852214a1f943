/// Capacity traces: which machines there are, as a file. Rows in order of time:
///
///   t_s,op,nodes
///   0,add,node-0 node-1 node-2          names, or how many: "3"
///   900,notice,node-1                   will go after the grace period
///   930,gone,node-1
///
/// Where no row says `gone`, a node goes when the grace period of its notice is over; where some do, these alone say
/// when. A number of nodes means new ones, those that have been there longest (notice), or those announced first, then
/// those that have been there longest (gone). Further columns are skipped, but for `trace`: then the file has several
/// segments, of which one is read; `remove` means notice there, and rows of other ops are skipped (the format of the
/// SpotServe artifact's segments).
///
///   CapacityTrace trace = read_capacity("zone-a.csv", {.grace = 30s});     // throws ConfigError: "zone-a.csv:17: ..."
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

struct CapacityEvent {
  enum Op : std::uint8_t { kAdd, kNotice, kGone } op = kAdd;
  Time at{};
  std::int32_t node = 0;
  Time deadline = kNever;             ///< of a notice: the end of the grace period
};

struct CapacityTrace {
  std::vector<std::string> nodes;     ///< names by number, in order of appearance
  std::vector<CapacityEvent> events;  ///< in order of time; each is possible after those before it
  std::int32_t most = 0;              ///< nodes that are there at once, at most
};

struct CapacityRules {
  Duration grace{};
  std::string segment;                ///< of a file with a column `trace`; empty: it has none
};

/// Memory and time follow the number of rows. Throws ConfigError with all errors, each "file:line: rule, got value".
CapacityTrace read_capacity(const std::string& path, const CapacityRules& rules);
/// Rows without a header; `name` stands for the path.
CapacityTrace capacity_from_text(const std::string& name, std::string_view rows, const CapacityRules& rules);

}  // namespace orrery
