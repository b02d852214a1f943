/// Named JSON entries: models, gpus, engines, profiles. A name is looked up as NAME.json beside the config and in the
/// user's config folder (whatever folders the caller gives, in order, each also with a subfolder named after the kind),
/// then among those built into the program. Names and aliases are compared without case, and '_' as '-'.
///
///   CatalogueEntry e = find_entry(Catalogue::kModels, "Llama-3.1-8B", {"."});   // e.value, e.origin
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

enum class Catalogue : unsigned char { kModels, kGpus, kEngines, kProfiles };

struct CatalogueEntry {
  std::string name;    ///< canonical
  Value value;
  std::string origin;  ///< path, or "built in"
};

/// Throws ConfigError `unknown model "lama"; did you mean ...?`; an absolute or relative path to a .json file is read
/// as is.
CatalogueEntry find_entry(Catalogue kind, std::string_view name, const std::vector<std::string>& folders);

std::vector<std::string> built_in_names(Catalogue kind);

/// A file of hwmodels/{models,gpus,engines,profiles}, embedded at build time.
struct EmbeddedFile { std::string_view folder, name, text; };
std::span<const EmbeddedFile> embedded_files();

}  // namespace orrery
