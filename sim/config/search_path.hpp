/// Where a name in a config is looked up: beside the config, then in the user's config folder; what is built in comes
/// last and is the caller's. An absolute path stands for itself.
///
///   SearchPath path{{"~/study", "~/.config/orrery"}};
///   path.find("prod.csv");            // the first that exists, or nothing
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

struct SearchPath {
  std::vector<std::string> folders{"."};

  std::optional<std::string> find(std::string_view name) const {
    namespace fs = std::filesystem;
    std::error_code ignored;
    const fs::path file(name);
    if (file.is_absolute()) return fs::exists(file, ignored) ? std::optional(file.string()) : std::nullopt;
    for (const std::string& folder : folders) {
      const fs::path candidate = (fs::path(folder) / file).lexically_normal();
      if (fs::exists(candidate, ignored)) return candidate.string();
    }
    return std::nullopt;
  }

  /// For messages: `not found in ".", "~/.config/orrery"`.
  std::string describe() const {
    std::string text;
    for (const std::string& folder : folders) text += (text.empty() ? "\"" : ", \"") + folder + "\"";
    return text;
  }
};

}  // namespace orrery
