#include "tests/source_dir.hpp"

#include <cstdlib>

namespace orrery {

std::string source_dir(const char* relative) { return std::string(ORRERY_SOURCE_DIR) + relative; }

std::string data_dir(const char* relative) {
  const char* data = std::getenv("ORRERY_DATA");
  return (data != nullptr ? std::string(data) : source_dir("/../shared/data")) + relative;
}

}  // namespace orrery
