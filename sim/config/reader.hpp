/// Reads an object of a config and reports everything that is wrong with it at once, each error with its JSON pointer:
/// wrong type or range, unknown key (with the nearest known one), missing key, key whose mechanism is not there yet.
///
///   ErrorList errors;
///   ObjectReader cluster(document.at("cluster"), errors);
///   cluster.integer("tp", tp, {1, 64});           // "/cluster/tp: expected an integer in [1, 64], got 0"
///   cluster.finish();                             // "/cluster/replcas: unknown key; did you mean "replicas"?"
///   errors.throw_if_any();
///
/// A key that is asked for is thereby known. Reads leave their target as it was (the default) where the key is missing
/// or wrong. Keys that start with "//" and "$schema" are ignored. The Value must outlive the reader.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/describe.hpp"
#include "sim/config/units.hpp"
#include "sim/config/value.hpp"

namespace orrery {

/// Where in the config a key belongs that the object at `pointer` does not know; "" if nowhere. Asked for messages
/// only.
using KeyPlaces = std::function<std::string(std::string_view pointer, std::string_view key)>;

class ErrorList {
 public:
  /// A line that is there already is not told again: what several parts of a config share is wrong once.
  void add(std::string_view pointer, std::string_view message);
  /// Takes over the lines of a ConfigError that already name their places.
  void add(const ConfigError& e) { add_line(e.what()); }
  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  /// One ConfigError with all lines.
  void throw_if_any() const;

  KeyPlaces elsewhere;   ///< empty: objects suggest their own keys only

 private:
  void add_line(std::string line);
  std::vector<std::string> lines_;
};

class ObjectReader {
 public:
  /// Anything but an object is an error by itself; all reads then give defaults. Null stands for {}.
  ObjectReader(const Value& object, ErrorList& errors) : ObjectReader(object, errors, object.pointer()) {}
  ObjectReader(const Value& object, ErrorList& errors, std::string pointer);

  const Value* take(std::string_view key);     ///< marks the key as known; nullptr if missing
  const Value* require(std::string_view key);  ///< missing is an error
  bool has(std::string_view key) const { return object_.find(key) != nullptr; }

  /// Each returns whether it set `out`.
  bool integer(std::string_view key, std::int64_t& out, Range range = {}, std::string_view unit = "");
  bool number(std::string_view key, double& out, Range range = {}, Dimension dimension = Dimension::kNumber);
  bool boolean(std::string_view key, bool& out);
  bool string(std::string_view key, std::string& out);
  bool duration(std::string_view key, Duration& out, Range seconds = {});
  bool numbers(std::string_view key, std::vector<double>& out, Range range = {});
  bool strings(std::string_view key, std::vector<std::string>& out);
  bool choice(std::string_view key, int& out, const std::vector<EnumName>& names);

  /// A reserved key: known, but an error where it is given, and never suggested.
  void not_available(std::string_view key);
  void error(std::string_view key, std::string_view message) { errors_.add(pointer_to(pointer_, key), message); }
  /// Reports the keys that nobody asked for. Once, when all are read.
  void finish();

  const std::string& pointer() const { return pointer_; }
  ErrorList& errors() { return errors_; }

 private:
  std::string hint(const std::string& key, const std::vector<std::string>& unused,
                   const std::vector<std::string>& available) const;
  const Value& object_;
  ErrorList& errors_;
  std::string pointer_;
  std::vector<std::string> known_, reserved_;
};

/// Fills a described struct from a JSON object.
///
///   JsonDescriber d(reader);   describe(d, config);   reader.finish();
class JsonDescriber final : public Describer {
 public:
  using Describer::field;
  explicit JsonDescriber(ObjectReader& reader) : reader_(reader) {}
  void field(std::string_view name, std::int64_t& value, Range, std::string_view help, std::string_view unit) override;
  void field(std::string_view name, double& value, Range, std::string_view help, std::string_view unit) override;
  void field(std::string_view name, bool& value, std::string_view help) override;
  void field(std::string_view name, std::string& value, std::string_view help) override;
  void field(std::string_view name, std::vector<double>& value, Range, std::string_view help) override;
  void duration(std::string_view name, Duration& value, Range seconds, std::string_view help) override;
  void enumeration(std::string_view name, int& value, const std::vector<EnumName>& names,
                   std::string_view help) override;
  void error(std::string_view name, std::string_view message) override { reader_.error(name, message); }

 private:
  ObjectReader& reader_;
};

/// Lists the parameters of a described struct: an array of {name, type, min, max, values, default, unit, help}, keys
/// that do not apply left out. Types: integer, number, boolean, string, numbers, duration, enum.
class ListDescriber final : public Describer {
 public:
  using Describer::field;
  Value parameters = Value::array();
  void field(std::string_view name, std::int64_t& value, Range, std::string_view help, std::string_view unit) override;
  void field(std::string_view name, double& value, Range, std::string_view help, std::string_view unit) override;
  void field(std::string_view name, bool& value, std::string_view help) override;
  void field(std::string_view name, std::string& value, std::string_view help) override;
  void field(std::string_view name, std::vector<double>& value, Range, std::string_view help) override;
  void duration(std::string_view name, Duration& value, Range seconds, std::string_view help) override;
  void enumeration(std::string_view name, int& value, const std::vector<EnumName>& names,
                   std::string_view help) override;
};

/// Writes the values of a described struct as an object, durations as strings with a unit. What a config resolves to:
/// chain it behind a JsonDescriber.
class DumpDescriber final : public Describer {
 public:
  using Describer::field;
  DumpDescriber() = default;
  /// Visits `before` first, so that one `make` call both reads the config and writes what it resolved to.
  explicit DumpDescriber(Describer& before) : before_(&before) {}
  Value values = Value::object();
  void field(std::string_view name, std::int64_t& value, Range, std::string_view help, std::string_view unit) override;
  void field(std::string_view name, double& value, Range, std::string_view help, std::string_view unit) override;
  void field(std::string_view name, bool& value, std::string_view help) override;
  void field(std::string_view name, std::string& value, std::string_view help) override;
  void field(std::string_view name, std::vector<double>& value, Range, std::string_view help) override;
  void duration(std::string_view name, Duration& value, Range seconds, std::string_view help) override;
  void enumeration(std::string_view name, int& value, const std::vector<EnumName>& names,
                   std::string_view help) override;
  void error(std::string_view name, std::string_view message) override {
    if (before_ != nullptr) before_->error(name, message);
  }

 private:
  Describer* before_ = nullptr;
};

/// A duration that parse_duration reads back exactly: "200ms", "4min", "1.5s".
std::string format_duration(Duration d);

}  // namespace orrery
