/// Every policy of this folder by name, and what each batching system is used with in its paper or by default.
///
///   Registry registry;
///   register_policies(registry);                   // then plug-ins, then the config
///   auto kv = usual_kv("orca");                    // {"name": "contiguous", "reserve": "max-new"}
#pragma once

#include <string_view>

#include "sim/registry.hpp"

namespace orrery {

void register_policies(Registry&);

/// All of them without plug-ins, registered once.
const Registry& shipped_policies();

/// The `kv` of a batching system (its registered name) where the config names none, as JSON text for that key.
/// Systems that are not listed, and plug-ins: `"paged"`.
std::string_view usual_kv(std::string_view batching);

}  // namespace orrery
