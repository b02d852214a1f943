#include "hwmodels/catalogue.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "sim/config/names.hpp"

namespace orrery {
namespace {

constexpr std::string_view folder_of(Catalogue kind) {
  constexpr std::string_view names[] = {"models", "gpus", "engines", "profiles"};
  return names[static_cast<int>(kind)];
}

constexpr std::string_view word_for(Catalogue kind) {
  constexpr std::string_view names[] = {"model", "hardware", "engine preset", "cost profile"};
  return names[static_cast<int>(kind)];
}

std::string canonical(std::string_view name) {
  std::string out;
  for (const char c : name) out += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_called(const Value& entry, const std::string& wanted) {
  if (canonical(entry.at("name").as_string()) == wanted) return true;
  const Value* aliases = entry.find("aliases");
  if (aliases == nullptr) return false;
  const auto& items = aliases->items();
  return std::any_of(items.begin(), items.end(), [&](const Value& a) { return canonical(a.as_string()) == wanted; });
}

std::string file_in(Catalogue kind, const std::string& wanted, const std::vector<std::string>& folders) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const std::string& folder : folders) {
    for (const fs::path& candidate :
         {fs::path(folder) / (wanted + ".json"), fs::path(folder) / folder_of(kind) / (wanted + ".json")}) {
      if (fs::is_regular_file(candidate, ignored)) return candidate.string();
    }
  }
  return "";
}

std::vector<std::string> built_in_aliases(Catalogue kind) {
  std::vector<std::string> out;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.folder != folder_of(kind)) continue;
    const Value entry = parse_json(file.text, std::string(file.name));
    const Value* aliases = entry.find("aliases");
    if (aliases == nullptr) continue;
    for (const Value& a : aliases->items()) out.push_back(a.as_string());
  }
  return out;
}

CatalogueEntry from_file(const std::string& path) {
  Value v = parse_json_file(path);
  std::string name = v.at("name").as_string();
  return {std::move(name), std::move(v), path};
}

}  // namespace

std::vector<std::string> built_in_names(Catalogue kind) {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.folder == folder_of(kind)) names.emplace_back(file.name);
  }
  return names;
}

CatalogueEntry find_entry(Catalogue kind, std::string_view name, const std::vector<std::string>& folders) {
  if (name.size() > 5 && name.substr(name.size() - 5) == ".json") {
    const std::string stem(name.substr(0, name.size() - 5));
    const std::string path =
        std::filesystem::path(name).is_absolute() ? std::string(name) : file_in(kind, stem, folders);
    if (path.empty()) throw ConfigError(std::string(word_for(kind)) + " file \"" + std::string(name) + "\" not found");
    return from_file(path);
  }
  const std::string wanted = canonical(name);
  if (const std::string path = file_in(kind, wanted, folders); !path.empty()) return from_file(path);
  // The file with the name first: it spares parsing the others.
  for (const bool by_alias : {false, true}) {
    for (const EmbeddedFile& file : embedded_files()) {
      if (file.folder != folder_of(kind) || (!by_alias && file.name != wanted)) continue;
      Value v = parse_json(file.text, std::string(file.folder) + "/" + std::string(file.name) + ".json");
      if (is_called(v, wanted)) return {std::string(file.name), std::move(v), "built in"};
    }
  }
  throw ConfigError(unknown_name(word_for(kind), name, built_in_names(kind), built_in_aliases(kind)));
}

}  // namespace orrery
