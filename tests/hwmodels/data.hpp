/// Where the shared measurements are: $ORRERY_DATA, else beside the source tree.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace orrery {

/// Path of a data file, or "" if it is not there (the test then skips).
inline std::string data_file(const std::string& relative) {
  const char* root = std::getenv("ORRERY_DATA");
  const std::string path = (root != nullptr ? std::string(root) : std::string(ORRERY_SOURCE_DIR) + "/../shared/data") + "/" + relative;
  return std::filesystem::exists(path) ? path : "";
}

}  // namespace orrery
