/// Where in a run config a key belongs that somebody has put elsewhere, for messages ("/tp: unknown key; did you mean
/// /cluster/tp?").
///
///   place_of_key(run_schema(registry), "", "tp")            == "/cluster/tp"
///   place_of_key(run_schema(registry), "/workload", "qps")  == "/workload/arrival/rate"
#pragma once

#include <string>
#include <string_view>

#include "sim/config/reader.hpp"
#include "sim/config/value.hpp"

namespace orrery {

/// The pointer of that key, or of one that means the same (same_meaning), which is nearest to the object at `pointer`:
/// the longest way in common, then the name itself before others, then the fewest steps, then the earlier. Not that
/// object itself. Members of a list and of an object with free names stand as "0" and "NAME" where `pointer` does not
/// say which. "" if no other object has such a key.
std::string place_of_key(const Value& schema, std::string_view pointer, std::string_view key);

/// The same for a config with the policies of this program.
KeyPlaces key_places();

}  // namespace orrery
