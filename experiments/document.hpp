/// A config document before anyone interprets it: the file, what it extends, and what the command line sets.
///
///   Document d = load_document("run.json", {"/cluster/tp=2", "/policy/router=random"});
///   d.value.at("cluster").at("tp").as_int() == 2;         // d.files: what was read, the config itself first
///
/// `extends` names one file, relative to the one that says it, and is read first. Objects merge key by key (RFC 7396:
/// null removes a key); all else replaces. Two objects that both have a `name` and differ in it are alternatives, not
/// layers: the later replaces the earlier. --set takes JSON, and what is not JSON as a string. Throws ConfigError.
#pragma once

#include <string>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

struct Document {
  Value value;                       ///< merged; every pointer is that of the merged document
  std::vector<std::string> files;    ///< as read, the config itself first
  std::string folder;                ///< of the config, for looking up names; "." for the current one
};

Document load_document(const std::string& path, const std::vector<std::string>& sets);

/// Layers `over` on `base`.
Value merged(const Value& base, const Value& over);

/// One --set. Missing objects on the way are made; an array element must exist, or be the one behind the last ("-" or
/// its index). Throws ConfigError that names the argument.
void apply_set(Value& document, const std::string& argument);

}  // namespace orrery
