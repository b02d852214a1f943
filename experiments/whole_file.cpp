#include "experiments/whole_file.hpp"

#include <chrono>
#include <ctime>
#include <fstream>

#include "sim/config/value.hpp"

namespace orrery {

void write_whole(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path beside = path.string() + ".new";
  std::ofstream file(beside);
  file << text << '\n';
  file.close();
  if (!file) throw ConfigError(path.string() + ": cannot write");
  std::filesystem::rename(beside, path);
}

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char out[16];
  std::strftime(out, sizeof out, "%Y-%m-%d", &utc);
  return out;
}

}  // namespace orrery
