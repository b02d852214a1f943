#include "sim/config/reader.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/config/names.hpp"

namespace orrery {
namespace {

bool ignored(std::string_view key) { return key == "$schema" || key.substr(0, 2) == "//"; }

bool inside(double x, Range r) { return x >= r.min && x <= r.max; }

/// " in [1, 64]", " >= 1", " <= 64" or "".
std::string range_text(Range r, std::string_view unit = "") {
  const bool low = std::isfinite(r.min), high = std::isfinite(r.max);
  const std::string suffix = unit.empty() ? "" : " " + std::string(unit);
  const auto number = [](double d) {
    return std::abs(d) < 1e15 && d == std::floor(d) ? std::to_string(static_cast<std::int64_t>(d)) : format_number(d);
  };
  if (low && high) return " in [" + number(r.min) + ", " + number(r.max) + "]" + suffix;
  if (low) return " >= " + number(r.min) + suffix;
  if (high) return " <= " + number(r.max) + suffix;
  return "";
}

std::string one_of(const std::vector<EnumName>& names) {
  std::string out = "expected ";
  if (names.size() > 1) out += "one of ";
  for (std::size_t i = 0; i < names.size(); ++i) out += (i == 0 ? "\"" : ", \"") + std::string(names[i].name) + "\"";
  return out;
}

constexpr double kInt64Limit = 9223372036854774784.0;

}  // namespace

void ErrorList::add(std::string_view pointer, std::string_view message) {
  add_line(std::string(pointer.empty() ? "/" : pointer) + ": " + std::string(message));
}

void ErrorList::add_line(std::string line) {
  if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) lines_.push_back(std::move(line));
}

void ErrorList::throw_if_any() const {
  if (lines_.empty()) return;
  std::string all;
  for (const std::string& line : lines_) all += (all.empty() ? "" : "\n") + line;
  throw ConfigError(all);
}

ObjectReader::ObjectReader(const Value& object, ErrorList& errors, std::string pointer)
    : object_(object), errors_(errors), pointer_(std::move(pointer)) {
  if (!object.is_object() && !object.is_null()) errors_.add(pointer_, "expected an object, got " + brief(object));
}

const Value* ObjectReader::take(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  return object_.find(key);
}

const Value* ObjectReader::require(std::string_view key) {
  const Value* v = take(key);
  if (v == nullptr && (object_.is_object() || object_.is_null())) error(key, "missing key");
  return v;
}

bool ObjectReader::integer(std::string_view key, std::int64_t& out, Range range, std::string_view unit) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  const Dimension dimension = dimension_of(unit);
  double wide = std::nan("");
  try {
    if (v->is_number()) wide = v->as_double();
    else if (dimension != Dimension::kNumber) check_unit(*v, dimension), wide = parse_quantity(*v, dimension);
  } catch (const ConfigError&) {  // reported below in the field's own words
  }
  if (!(std::abs(wide) <= kInt64Limit) || wide != std::floor(wide) || !inside(wide, range)) {
    error(key, "expected an integer" + range_text(range) + ", got " + brief(*v));
    return false;
  }
  out = v->kind() == Value::Kind::kInt ? v->as_int() : static_cast<std::int64_t>(wide);
  return true;
}

bool ObjectReader::number(std::string_view key, double& out, Range range, Dimension dimension) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  const bool plain = dimension == Dimension::kNumber;
  try {
    check_unit(*v, dimension);
    const double wide = parse_quantity(*v, dimension);
    if (inside(wide, range)) {
      out = wide;
      return true;
    }
    error(key,
          std::string(plain ? "expected a number" : "expected a value") + range_text(range) + ", got " + brief(*v));
  } catch (const ConfigError& e) {
    error(key, plain ? "expected a number" + range_text(range) + ", got " + brief(*v) : e.what());
  }
  return false;
}

bool ObjectReader::boolean(std::string_view key, bool& out) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  if (v->kind() != Value::Kind::kBool) {
    error(key, "expected true or false, got " + brief(*v));
    return false;
  }
  out = v->as_bool();
  return true;
}

bool ObjectReader::string(std::string_view key, std::string& out) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  if (!v->is_string()) {
    error(key, "expected a string, got " + brief(*v));
    return false;
  }
  out = v->as_string();
  return true;
}

bool ObjectReader::duration(std::string_view key, Duration& out, Range seconds) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  try {
    check_unit(*v, Dimension::kSeconds);
    const Duration d = parse_duration(*v);
    if (inside(to_seconds(d), seconds)) {
      out = d;
      return true;
    }
    error(key, "expected a duration" + range_text(seconds, "s") + ", got " + brief(*v));
  } catch (const ConfigError& e) { error(key, e.what()); }
  return false;
}

bool ObjectReader::numbers(std::string_view key, std::vector<double>& out, Range range) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  if (!v->is_array()) {
    error(key, "expected an array of numbers, got " + brief(*v));
    return false;
  }
  std::vector<double> read;
  for (std::size_t i = 0; i < v->items().size(); ++i) {
    const Value& item = v->items()[i];
    if (item.is_number() && inside(item.as_double(), range)) {
      read.push_back(item.as_double());
    } else {
      errors_.add(pointer_to(pointer_to(pointer_, key), std::to_string(i)),
                  "expected a number" + range_text(range) + ", got " + brief(item));
    }
  }
  if (read.size() != v->items().size()) return false;
  out = std::move(read);
  return true;
}

bool ObjectReader::strings(std::string_view key, std::vector<std::string>& out) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  if (!v->is_array()) {
    error(key, "expected an array of strings, got " + brief(*v));
    return false;
  }
  std::vector<std::string> read;
  for (std::size_t i = 0; i < v->items().size(); ++i) {
    const Value& item = v->items()[i];
    if (item.is_string()) read.push_back(item.as_string());
    else errors_.add(pointer_to(pointer_to(pointer_, key), std::to_string(i)), "expected a string, got " + brief(item));
  }
  if (read.size() != v->items().size()) return false;
  out = std::move(read);
  return true;
}

bool ObjectReader::choice(std::string_view key, int& out, const std::vector<EnumName>& names) {
  const Value* v = take(key);
  if (v == nullptr) return false;
  std::vector<std::string> known;
  for (const EnumName& n : names) {
    if (v->is_string() && n.name == v->as_string()) {
      out = n.value;
      return true;
    }
    known.emplace_back(n.name);
  }
  error(key, one_of(names) + ", got " + brief(*v) + (v->is_string() ? did_you_mean(v->as_string(), known) : ""));
  return false;
}

void ObjectReader::not_available(std::string_view key) {
  if (take(key) != nullptr) error(key, "not available in this version");
  reserved_.emplace_back(key);
}

void ObjectReader::finish() {
  if (!object_.is_object()) return;
  std::vector<std::string> available, unused;
  for (const std::string& k : known_) {
    if (std::find(reserved_.begin(), reserved_.end(), k) != reserved_.end()) continue;
    available.push_back(k);
    if (object_.find(k) == nullptr) unused.push_back(k);
  }
  for (const Value::Member& m : object_.members()) {
    if (ignored(m.first) || std::find(known_.begin(), known_.end(), m.first) != known_.end()) continue;
    error(m.first, "unknown key" + hint(m.first, unused, available));
  }
}

namespace {

/// `key` is one of `keys` in other words, but for a slip of the pen, or a part of its name ("budget": "token_budget").
bool meant_here(const std::string& key, const std::vector<std::string>& keys) {
  if (!same_meaning(key, keys).empty()) return true;
  const std::string nearest = key.size() < 3 ? "" : nearest_name(key, keys);
  return !nearest.empty() && (edit_distance(key, nearest) <= 1 || nearest.ends_with("_" + key) ||
                              nearest.starts_with(key + "_"));
}

}  // namespace

/// A key of this object that is meant (rather one that is not given yet); the same key of another object; the nearest of
/// this one.
std::string ObjectReader::hint(const std::string& key, const std::vector<std::string>& unused,
                               const std::vector<std::string>& available) const {
  for (const auto* keys : {&unused, &available})
    if (meant_here(key, *keys)) return did_you_mean(key, *keys);
  const std::string place = errors_.elsewhere ? errors_.elsewhere(pointer_, key) : "";
  if (!place.empty()) return "; did you mean " + place + "?";
  const std::string here = did_you_mean(key, unused);
  return here.empty() ? did_you_mean(key, available) : here;
}

void JsonDescriber::field(std::string_view name, std::int64_t& value, Range r, std::string_view,
                          std::string_view unit) {
  reader_.integer(name, value, r, unit);
}
void JsonDescriber::field(std::string_view name, double& value, Range r, std::string_view, std::string_view unit) {
  reader_.number(name, value, r, dimension_of(unit));
}
void JsonDescriber::field(std::string_view name, bool& value, std::string_view) { reader_.boolean(name, value); }
void JsonDescriber::field(std::string_view name, std::string& value, std::string_view) { reader_.string(name, value); }
void JsonDescriber::field(std::string_view name, std::vector<double>& value, Range r, std::string_view) {
  reader_.numbers(name, value, r);
}
void JsonDescriber::duration(std::string_view name, Duration& value, Range seconds, std::string_view) {
  reader_.duration(name, value, seconds);
}
void JsonDescriber::enumeration(std::string_view name, int& value, const std::vector<EnumName>& names,
                                std::string_view) {
  reader_.choice(name, value, names);
}

namespace {

Value parameter(std::string_view name, const char* type) {
  Value p = Value::object();
  p["name"] = Value(std::string(name));
  p["type"] = Value(type);
  return p;
}

Value bound(double b, bool whole) {
  return whole && std::abs(b) < kInt64Limit ? Value(static_cast<std::int64_t>(b)) : Value(b);
}

void add_range(Value& p, Range r, bool whole) {
  if (std::isfinite(r.min)) p["min"] = bound(r.min, whole);
  if (std::isfinite(r.max)) p["max"] = bound(r.max, whole);
}

void close_parameter(Value& list, Value p, Value value, std::string_view unit, std::string_view help) {
  p["default"] = std::move(value);
  if (!unit.empty()) p["unit"] = Value(std::string(unit));
  p["help"] = Value(std::string(help));
  list.push_back(std::move(p));
}

Value array_of(const std::vector<double>& numbers) {
  Value out = Value::array();
  for (const double d : numbers) out.push_back(Value(d));
  return out;
}

std::string enum_name(int value, const std::vector<EnumName>& names) {
  for (const EnumName& n : names) {
    if (n.value == value) return std::string(n.name);
  }
  return std::to_string(value);
}

}  // namespace

void ListDescriber::field(std::string_view name, std::int64_t& value, Range r, std::string_view help,
                          std::string_view unit) {
  Value p = parameter(name, "integer");
  add_range(p, r, true);
  close_parameter(parameters, std::move(p), Value(value), unit, help);
}
void ListDescriber::field(std::string_view name, double& value, Range r, std::string_view help, std::string_view unit) {
  Value p = parameter(name, "number");
  add_range(p, r, false);
  close_parameter(parameters, std::move(p), Value(value), unit, help);
}
void ListDescriber::field(std::string_view name, bool& value, std::string_view help) {
  close_parameter(parameters, parameter(name, "boolean"), Value(value), "", help);
}
void ListDescriber::field(std::string_view name, std::string& value, std::string_view help) {
  close_parameter(parameters, parameter(name, "string"), Value(value), "", help);
}
void ListDescriber::field(std::string_view name, std::vector<double>& value, Range r, std::string_view help) {
  Value p = parameter(name, "numbers");
  add_range(p, r, false);
  close_parameter(parameters, std::move(p), array_of(value), "", help);
}
void ListDescriber::duration(std::string_view name, Duration& value, Range seconds, std::string_view help) {
  Value p = parameter(name, "duration");
  add_range(p, seconds, false);
  close_parameter(parameters, std::move(p), Value(format_duration(value)), "s", help);
}
void ListDescriber::enumeration(std::string_view name, int& value, const std::vector<EnumName>& names,
                                std::string_view help) {
  Value p = parameter(name, "enum");
  p["values"] = Value::array();
  for (const EnumName& n : names) p["values"].push_back(Value(std::string(n.name)));
  close_parameter(parameters, std::move(p), Value(enum_name(value, names)), "", help);
}

void DumpDescriber::field(std::string_view name, std::int64_t& value, Range r, std::string_view help,
                          std::string_view unit) {
  if (before_ != nullptr) before_->field(name, value, r, help, unit);
  values[name] = Value(value);
}
void DumpDescriber::field(std::string_view name, double& value, Range r, std::string_view help, std::string_view unit) {
  if (before_ != nullptr) before_->field(name, value, r, help, unit);
  values[name] = Value(value);
}
void DumpDescriber::field(std::string_view name, bool& value, std::string_view help) {
  if (before_ != nullptr) before_->field(name, value, help);
  values[name] = Value(value);
}
void DumpDescriber::field(std::string_view name, std::string& value, std::string_view help) {
  if (before_ != nullptr) before_->field(name, value, help);
  values[name] = Value(value);
}
void DumpDescriber::field(std::string_view name, std::vector<double>& value, Range r, std::string_view help) {
  if (before_ != nullptr) before_->field(name, value, r, help);
  values[name] = array_of(value);
}
void DumpDescriber::duration(std::string_view name, Duration& value, Range seconds, std::string_view help) {
  if (before_ != nullptr) before_->duration(name, value, seconds, help);
  values[name] = Value(format_duration(value));
}
void DumpDescriber::enumeration(std::string_view name, int& value, const std::vector<EnumName>& names,
                                std::string_view help) {
  if (before_ != nullptr) before_->enumeration(name, value, names, help);
  values[name] = Value(enum_name(value, names));
}

std::string format_duration(Duration d) {
  struct Unit {
    std::int64_t ps;
    std::string_view name;
  };
  constexpr std::array units{Unit{60'000'000'000'000, "min"}, Unit{1'000'000'000'000, "s"}, Unit{1'000'000'000, "ms"},
                             Unit{1'000'000, "us"}, Unit{1'000, "ns"}};
  const std::int64_t ps = to_ps(d);
  if (ps == 0) return "0s";
  for (const Unit& u : units) {
    if (ps % u.ps == 0) return std::to_string(ps / u.ps) + std::string(u.name);
  }
  return std::to_string(ps) + "ps";
}

}  // namespace orrery
