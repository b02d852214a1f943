#include "sim/plugin.hpp"

#include <dlfcn.h>

#include <set>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

using AbiFunction = void (*)(PluginAbi*);
using EntryFunction = void (*)(Registry&);

template <class Function>
Function symbol(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

/// Why the two sides do not fit; empty if they do.
std::string mismatch(const PluginAbi& theirs) {
  const PluginAbi ours;
  if (theirs.magic != ours.magic) return "its orrery_plugin_abi does not describe an Orrery plug-in";
  std::string why;
  auto compare = [&](const char* what, std::uint32_t mine, std::uint32_t other) {
    if (mine == other) return;
    why += (why.empty() ? "" : ", ") + std::string(what) + " " + std::to_string(other) + " instead of " +
           std::to_string(mine);
  };
  compare("interface version", ours.version, theirs.version);
  compare("compiler ABI", ours.compiler, theirs.compiler);
  compare("size of Call", ours.call, theirs.call);
  compare("size of Progress", ours.progress, theirs.progress);
  compare("size of StationView", ours.view, theirs.view);
  compare("size of BatchPlan", ours.plan, theirs.plan);
  compare("size of ClusterView", ours.cluster, theirs.cluster);
  compare("size of StationLoad", ours.load, theirs.load);
  compare("size of Registry", ours.registry, theirs.registry);
  return why.empty() ? why : "was built against other headers (" + why + "); compile it again with this version's";
}

template <class Interface>
void collect(const Registry& registry, std::vector<std::string>& twice) {
  std::set<std::string> seen;
  for (const auto& entry : registry.entries<Interface>()) {
    if (!seen.insert(entry.name).second) twice.push_back(entry.name);
    for (const auto& alias : entry.aliases)
      if (!seen.insert(alias).second) twice.push_back(alias);
  }
}

std::size_t size(const Registry& r) {
  return r.entries<Batcher>().size() + r.entries<QueueOrder>().size() + r.entries<LengthPredictor>().size() +
         r.entries<KvPolicy>().size() + r.entries<Router>().size() + r.entries<AdmissionPolicy>().size() +
         r.entries<ClusterPolicy>().size() + r.entries<ScalingRule>().size();
}

}  // namespace

std::vector<std::string> duplicate_names(const Registry& registry) {
  std::vector<std::string> twice;
  collect<Batcher>(registry, twice);
  collect<QueueOrder>(registry, twice);
  collect<LengthPredictor>(registry, twice);
  collect<KvPolicy>(registry, twice);
  collect<Router>(registry, twice);
  collect<AdmissionPolicy>(registry, twice);
  collect<ClusterPolicy>(registry, twice);
  collect<ScalingRule>(registry, twice);
  return twice;
}

void load_plugin(Registry& registry, std::string_view name, const std::string& path) {
  auto fail = [&](const std::string& why) {
    throw ConfigError("--plugin " + std::string(name) + "=" + path + ": " + why);
  };
  const bool has_folder =
      path.find('/') != std::string::npos;   // without one, dlopen would search the system's folders
  void* library = dlopen((has_folder ? path : "./" + path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fail(std::string("cannot be loaded: ") + dlerror());
  const auto abi_of = symbol<AbiFunction>(library, "orrery_plugin_abi");
  const auto enter = symbol<EntryFunction>(library, "orrery_plugin");
  if (!abi_of || !enter) fail("is no Orrery plug-in: it lacks orrery_plugin (see ORRERY_PLUGIN in sim/plugin.hpp)");
  PluginAbi theirs;
  abi_of(&theirs);
  if (const std::string why = mismatch(theirs); !why.empty()) fail(why);
  const std::size_t before = size(registry);
  enter(registry);
  if (size(registry) == before) fail("adds no policy");
  if (const auto twice = duplicate_names(registry); !twice.empty()) fail("the name \"" + twice.front() + "\" is taken");
}

std::string load_plugin(Registry& registry, std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (equals == 0 || equals == std::string_view::npos || equals + 1 == argument.size())
    throw ConfigError("--plugin " + std::string(argument) + ": expected NAME=PATH");
  std::string name(argument.substr(0, equals));
  load_plugin(registry, name, std::string(argument.substr(equals + 1)));
  return name;
}

}  // namespace orrery
