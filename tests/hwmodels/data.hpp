/// Where the shared measurements are: $ORRERY_DATA, else beside the source tree.
#pragma once

#include <filesystem>
#include <string>

#include "tests/source_dir.hpp"

namespace orrery {

/// Path of a data file, or "" if it is not there (the test then skips).
inline std::string data_file(const std::string& relative) {
  const std::string path = data_dir("/") + relative;
  return std::filesystem::exists(path) ? path : "";
}

}  // namespace orrery
