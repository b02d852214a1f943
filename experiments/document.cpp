#include "experiments/document.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace orrery {
namespace {

namespace fs = std::filesystem;

bool alternatives(const Value& a, const Value& b) {
  const Value* na = a.find("name");
  const Value* nb = b.find("name");
  return na != nullptr && nb != nullptr && na->is_string() && nb->is_string() && na->as_string() != nb->as_string();
}

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// Reads `path` and everything below it; `files` is also the way taken, to find circles.
Value read_layers(const std::string& path, std::vector<std::string>& files) {
  const auto same = [&](const std::string& f) {
    std::error_code ignored;
    return f == path || fs::equivalent(f, path, ignored);
  };
  if (std::any_of(files.begin(), files.end(), same)) throw ConfigError(path + ": extends itself");
  files.push_back(path);
  Value top = parse_json_file(path);
  if (!top.is_object()) throw ConfigError(top.where() + ": expected a config object, got " + brief(top));
  const Value* extends = top.find("extends");
  if (extends == nullptr) return top;
  if (!extends->is_string())
    throw ConfigError(extends->where() + ": expected the name of a file, got " + brief(*extends));
  const std::string where = extends->where();
  const fs::path below = fs::path(folder_of(path)) / extends->as_string();
  top.erase("extends");
  std::error_code ignored;
  if (!fs::exists(below, ignored)) throw ConfigError(where + ": no file \"" + below.lexically_normal().string() + "\"");
  return merged(read_layers(below.lexically_normal().string(), files), top);
}

std::vector<std::string> steps_of(const std::string& pointer) {
  std::vector<std::string> steps;
  for (std::size_t at = 0; at < pointer.size();) {
    std::size_t end = pointer.find('/', at + 1);
    if (end == std::string::npos) end = pointer.size();
    std::string step;
    for (std::size_t i = at + 1; i < end; ++i) {
      const bool escape = pointer[i] == '~' && i + 1 < end && (pointer[i + 1] == '0' || pointer[i + 1] == '1');
      step += !escape ? pointer[i] : pointer[++i] == '0' ? '~' : '/';
    }
    steps.push_back(std::move(step));
    at = end;
  }
  return steps;
}

/// The element of an array that a step names; makes the one behind the last.
Value& element(Value& array, const std::string& step, const std::string& argument) {
  const std::size_t size = array.items().size();
  std::size_t index = size;
  if (step != "-") {
    const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
    if (error != std::errc{} || end != step.data() + step.size() || index > size) {
      throw ConfigError("--set " + argument + ": \"" + step + "\" is not an index of an array of " +
                        std::to_string(size));
    }
  }
  if (index == size) array.push_back(Value{});
  return array[index];
}

Value value_of(const std::string& text) {
  try {
    return parse_json(text);
  } catch (const ConfigError&) {  // not JSON: a bare word, as in --set /policy/router=random
    return Value(text);
  }
}

}  // namespace

Value merged(const Value& base, const Value& over) {
  if (!base.is_object() || !over.is_object() || alternatives(base, over)) return over;
  Value out = base;
  for (const Value::Member& m : over.members()) {
    if (m.second.is_null()) {
      out.erase(m.first);
    } else if (const Value* old = base.find(m.first); old != nullptr) {
      out[m.first] = merged(*old, m.second);
    } else {
      out[m.first] = m.second;
    }
  }
  return out;
}

/// "cluster.replicas=4" and "cluster/replicas=4" as they are written here; "" if that is not what is wrong.
std::string meant_set(std::string argument, std::size_t equals) {
  if (equals == std::string::npos || equals == 0 || argument[0] == '/') return "";
  if (argument.find('/') > equals)
    std::replace(argument.begin(), argument.begin() + static_cast<std::ptrdiff_t>(equals), '.', '/');
  return "; did you mean /" + argument + "?";
}

void apply_set(Value& document, const std::string& argument) {
  const std::size_t equals = argument.find('=');
  if (argument.empty() || argument[0] != '/' || equals == std::string::npos) {
    throw ConfigError("--set " + argument + ": expected /json/pointer=VALUE" + meant_set(argument, equals));
  }
  Value* at = &document;
  for (const std::string& step : steps_of(argument.substr(0, equals))) {
    if (at->is_array()) {
      at = &element(*at, step, argument);
    } else {
      // A policy written as a name becomes {"name": ...} when a parameter of it is set.
      if (at->is_string()) {
        Value named = Value::object();
        named["name"] = *at;
        *at = std::move(named);
      }
      if (!at->is_object() && !at->is_null()) {
        throw ConfigError("--set " + argument + ": \"" + step + "\" is inside " + brief(*at));
      }
      at = &(*at)[step];
    }
  }
  *at = value_of(argument.substr(equals + 1));
}

Document load_document(const std::string& path, const std::vector<std::string>& sets) {
  Document d;
  d.folder = folder_of(path);
  d.value = read_layers(path, d.files);
  std::string errors;
  for (const std::string& set : sets) {
    try {
      apply_set(d.value, set);
    } catch (const ConfigError& e) { errors += (errors.empty() ? "" : "\n") + std::string(e.what()); }
  }
  if (!errors.empty()) throw ConfigError(errors);
  d.value.anchor("");
  return d;
}

}  // namespace orrery
