/// /signals: quantities that change over the run. Each is a number, the name of a CSV file (traces/signal_file.hpp,
/// looked up like other files), or an object.
///
///   "signals": {"carbon": {"file": "grid.csv", "column": "GB", "start": "800h", "pue": 1.2},  gCO2 a kWh
///               "price": [{"file": "spot.csv", "pools": ["cheap"]}, {"value": 1.69}],          USD an hour of a device
///               "power": {"file": "row.csv", "domain": "row-1"},                               watts that others draw
///               "bandwidth": [{"file": "link.csv", "from": "prompt", "to": "token"},           bytes/s of a link,
///                             {"value": "10GB/s", "pools": ["prompt"]}]}                       or of instances
///
/// `start`: where in the file the run begins. A pool takes the first price that names it, or that names no pool. `pue`:
/// what the site draws over what the devices do. Without a price signal, the devices' catalogue price counts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/result.hpp"
#include "sim/config/reader.hpp"
#include "sim/config/search_path.hpp"
#include "sim/signal.hpp"

namespace orrery {

struct PoolConfig;
struct LinkConfig;

struct SignalConfig {
  std::string pointer;
  double value = 0;                    ///< where there is no file
  std::string file, column;
  Duration start{};
  double pue = 1;                      ///< carbon only
  std::vector<std::int32_t> pools;     ///< price, bandwidth; empty: all, or a link
  std::int32_t from = -1, to = -1;     ///< bandwidth only: a link; -1: networks of `pools`
  std::string domain;                  ///< power only; "": the only one
};

struct SignalsConfig {
  std::optional<SignalConfig> carbon;
  std::vector<SignalConfig> price, power, bandwidth;
  bool any() const { return carbon || !price.empty(); }   ///< that costs something
};

/// Takes its keys of /signals; others have theirs there.
SignalsConfig read_signals(ObjectReader& r, const std::vector<PoolConfig>& pools,
                           const std::vector<LinkConfig>& links);

/// The signal from the start of the run on, in units of 1 / `per_unit`; adds what was read to `inputs`. Errors:
/// file:line, or the pointer of a name that is not found. `most`: the largest value that a file may hold.
StepSignal load_signal(const SignalConfig& s, double per_unit, const SearchPath& search, std::vector<InputFact>& inputs,
                       ErrorList& errors, double most = 1e9);

}  // namespace orrery
