/// Inside of workload_model.hpp: the files of traces/models as text, written at build time (traces/CMakeLists.txt).
#pragma once

#include <span>
#include <string_view>

namespace orrery {

struct BuiltinModel { std::string_view name, json; };
std::span<const BuiltinModel> builtin_models();

}  // namespace orrery
