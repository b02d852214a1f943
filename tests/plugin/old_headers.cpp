/// A plug-in that says it was built against another version.
#include "sim/plugin.hpp"

extern "C" void orrery_plugin_abi(orrery::PluginAbi* abi) {
  *abi = {};
  abi->version = 999;
  abi->view += 8;
}
extern "C" void orrery_plugin(orrery::Registry&) { __builtin_trap(); }   // must not be reached
