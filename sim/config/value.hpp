/// A JSON document as a tree of plain values that remember where they came from, so that an error can name a pointer
/// or file:line. The only door to JSON: nlohmann/json is included in parse.cpp alone.
///
///   Value v = parse_json_file("run.json");           // throws ConfigError with file:line:column
///   v.at("cluster").at("tp").as_int();               // throws ConfigError with the pointer /cluster/tp
///
/// Comments (// and /* */) are allowed; keys that start with "//" are kept and ignored by readers. Values are copied
/// deeply; a document is small.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery {

/// One or more messages, one a line, each with its place. The program prints them to stderr and exits 1.
struct ConfigError : std::runtime_error {
  explicit ConfigError(std::string message) : std::runtime_error(std::move(message)) {}
};

class Value {
 public:
  enum class Kind { kNull, kBool, kInt, kDouble, kString, kArray, kObject };
  using Member = std::pair<std::string, Value>;

  Value() = default;
  Value(bool b) : kind_(Kind::kBool), bool_(b) {}                                  // NOLINT: literals read well
  Value(std::int64_t i) : kind_(Kind::kInt), int_(i) {}                            // NOLINT
  Value(int i) : Value(static_cast<std::int64_t>(i)) {}                            // NOLINT
  Value(double d) : kind_(Kind::kDouble), double_(d) {}                            // NOLINT
  Value(std::string s) : kind_(Kind::kString), string_(std::move(s)) {}            // NOLINT
  Value(const char* s) : Value(std::string(s)) {}                                  // NOLINT
  Value(std::string_view s) : Value(std::string(s)) {}                             // NOLINT
  static Value array() { Value v; v.kind_ = Kind::kArray; return v; }
  static Value object() { Value v; v.kind_ = Kind::kObject; return v; }

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_object() const { return kind_ == Kind::kObject; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_number() const { return kind_ == Kind::kInt || kind_ == Kind::kDouble; }

  /// These throw ConfigError naming pointer() when the kind is another.
  bool as_bool() const;
  std::int64_t as_int() const;             ///< also a double with an integer value
  double as_double() const;
  const std::string& as_string() const;
  const std::vector<Value>& items() const;
  const std::vector<Member>& members() const;

  const Value* find(std::string_view key) const;   ///< member of an object, or nullptr
  const Value& at(std::string_view key) const;     ///< throws: "/a/b: missing key"
  Value& operator[](std::string_view key);         ///< member of an object, made if missing; null becomes an object
  void push_back(Value v);                         ///< null becomes an array
  Value& operator[](std::size_t index);            ///< element of an array; throws past the end
  bool erase(std::string_view key);

  /// Where the value stood: JSON pointer from the document root, and file:line ("" and 0 for built values).
  const std::string& pointer() const { return pointer_; }
  std::string where() const;                       ///< "run.json:12 /policy/batching"
  const std::string& file() const { return file_; }
  int line() const { return line_; }
  /// Gives this value and all below it pointers that start at `pointer`; file and line stay. For built documents.
  void anchor(const std::string& pointer);

 private:
  friend class JsonReader;
  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  std::int64_t int_ = 0;
  double double_ = 0;
  std::string string_;
  std::vector<Value> items_;
  std::vector<Member> members_;   ///< in the order of the document
  std::string pointer_, file_;
  int line_ = 0;
};

/// Nesting is limited to 200 levels; duplicate keys are errors.
Value parse_json(std::string_view text, std::string_view name = "");   ///< `name` stands for the file in errors
Value parse_json_file(const std::string& path);
/// Keys in document order; doubles in the shortest form that reads back equal. `indent` < 0: one line.
/// Infinities and NaN, which JSON does not have, become null.
std::string to_json(const Value& v, int indent = 2);

/// "/a" and "b/c" give "/a/b~1c" (RFC 6901).
std::string pointer_to(std::string_view parent, std::string_view key);
/// A value as an error message quotes it: scalars as JSON, at most 60 characters; "an object", "an array".
std::string brief(const Value& v);

}  // namespace orrery
