/// How each workload model that ships (traces/models/*.json) was made, so that a test can make it again and compare:
///
///   Value again = fit_shipped_model("azure-conv-2023", "../shared/data/traces");   // the folder with the sources
///
/// `fit_workload_models FOLDER traces/models` writes them all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

struct ShippedModel {
  std::string_view name, file;   ///< file: "" if it is made from published moments alone
  std::string_view source;
};

const std::vector<ShippedModel>& shipped_models();
/// Throws ConfigError if the file is missing.
Value fit_shipped_model(std::string_view name, const std::string& folder);

}  // namespace orrery
