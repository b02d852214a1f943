/// The JSON schema (draft 2020-12) of the run config, made from the same descriptions that read it: sections by their
/// describe(), policies by the registry. For editors; `orrery check` is the judge.
///
///   std::cout << to_json(run_schema(registry));
#pragma once

#include "sim/config/value.hpp"
#include "sim/registry.hpp"

namespace orrery {

Value run_schema(const Registry& registry);

}  // namespace orrery
