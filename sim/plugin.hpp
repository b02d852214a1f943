/// Policies from a shared library. A plug-in is a .so whose entry point adds policies to the registry; it is compiled
/// against these headers and finds the simulator's functions in the program that loads it.
///
///   #include "sim/plugin.hpp"                                   // mine.cpp
///   ORRERY_PLUGIN(registry) { registry.add<Mine>("mine", "My batcher"); }
///
///   g++ -std=c++20 -O2 -shared -fPIC -I ORRERY_SOURCES mine.cpp -o mine.so
///   orrery run config.json --plugin mine=./mine.so              // and in the config: "plugins": ["mine"]
///
/// The layout of what both sides share is compared before any of it is touched, so that a plug-in built against other
/// headers or by an incompatible compiler is refused with a reason instead of crashing. A library stays loaded until
/// the program ends, since policies made by it may live that long. Not thread-safe: load before runs start.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

/// What must be equal on both sides. Plain integers, at fixed places for all versions.
struct PluginAbi {
  std::uint32_t magic = 0x4f525259;   ///< "ORRY"
  std::uint32_t version = 3;          ///< raised when the meaning of an interface changes and no size does
  std::uint32_t compiler = __GXX_ABI_VERSION / 1000;
  std::uint32_t call = sizeof(Call), progress = sizeof(Progress), view = sizeof(StationView), plan = sizeof(BatchPlan),
                cluster = sizeof(ClusterView), load = sizeof(StationLoad), registry = sizeof(Registry);
};

/// Loads `path` and lets it add its policies. Throws ConfigError: "--plugin NAME=PATH: what is wrong".
void load_plugin(Registry& registry, std::string_view name, const std::string& path);

/// The same for an argument "NAME=PATH"; returns NAME.
std::string load_plugin(Registry& registry, std::string_view argument);

/// Names that both the plug-in and the registry had, or that it adds twice; empty if none.
std::vector<std::string> duplicate_names(const Registry& registry);

}  // namespace orrery

/// The entry points of a plug-in; the block that follows adds policies to `registry`.
#define ORRERY_PLUGIN(registry)                                                                     \
  extern "C" void orrery_plugin_abi(::orrery::PluginAbi* abi) { *abi = ::orrery::PluginAbi{}; }     \
  extern "C" void orrery_plugin(::orrery::Registry& registry)
