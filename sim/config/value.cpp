#include "sim/config/value.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace orrery {
namespace {

std::string_view kind_name(Value::Kind k) {
  constexpr std::array<std::string_view, 7> names{"null",     "a boolean", "an integer", "a number",
                                                  "a string", "an array",  "an object"};
  return names[static_cast<std::size_t>(k)];
}

[[noreturn]] void wrong_kind(const Value& v, std::string_view expected) {
  const std::string place = v.pointer().empty() ? "/" : v.pointer();
  throw ConfigError(place + ": expected " + std::string(expected) + ", got " + brief(v));
}

void append_string(std::string& out, std::string_view s) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += '"';
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (u >= 0x20) {
          out += c;
        } else {
          out += "\\u00";
          out += digits[u >> 4];
          out += digits[u & 15u];
        }
    }
  }
  out += '"';
}

void append_double(std::string& out, double d) {
  if (!std::isfinite(d)) {  // JSON has no such number
    out += "null";
    return;
  }
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), d).ptr;
  const std::string_view written(text.data(), static_cast<std::size_t>(end - text.data()));
  out += written;
  if (written.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_value(std::string& out, const Value& v, int indent, int depth);

template <class Sequence, class Write>
void append_sequence(std::string& out, const Sequence& items, char open, char close, int indent, int depth,
                     Write write) {
  out += open;
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += indent < 0 ? ", " : ",";
    first = false;
    if (indent >= 0) out.append(1, '\n').append(static_cast<std::size_t>(indent * (depth + 1)), ' ');
    write(item);
  }
  if (indent >= 0 && !first) out.append(1, '\n').append(static_cast<std::size_t>(indent * depth), ' ');
  out += close;
}

void append_value(std::string& out, const Value& v, int indent, int depth) {
  switch (v.kind()) {
    case Value::Kind::kNull:
      out += "null";
      break;
    case Value::Kind::kBool:
      out += v.as_bool() ? "true" : "false";
      break;
    case Value::Kind::kInt:
      out += std::to_string(v.as_int());
      break;
    case Value::Kind::kDouble:
      append_double(out, v.as_double());
      break;
    case Value::Kind::kString:
      append_string(out, v.as_string());
      break;
    case Value::Kind::kArray:
      append_sequence(out, v.items(), '[', ']', indent, depth,
                      [&](const Value& item) { append_value(out, item, indent, depth + 1); });
      break;
    case Value::Kind::kObject:
      append_sequence(out, v.members(), '{', '}', indent, depth, [&](const Value::Member& m) {
        append_string(out, m.first);
        out += ": ";
        append_value(out, m.second, indent, depth + 1);
      });
      break;
  }
}

}  // namespace

std::string pointer_to(std::string_view parent, std::string_view key) {
  std::string out(parent);
  out += '/';
  for (const char c : key) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

std::string brief(const Value& v) {
  if (v.is_object() || v.is_array()) return std::string(kind_name(v.kind()));
  std::string text = to_json(v, -1);
  if (text.size() > 60) text = text.substr(0, 56) + "..." + (v.is_string() ? "\"" : "");
  return text;
}

bool Value::as_bool() const {
  if (kind_ != Kind::kBool) wrong_kind(*this, "true or false");
  return bool_;
}

std::int64_t Value::as_int() const {
  if (kind_ == Kind::kInt) return int_;
  constexpr double limit = 9223372036854774784.0;  // the largest double below 2^63
  if (kind_ != Kind::kDouble || double_ != std::floor(double_) || std::abs(double_) > limit) {
    wrong_kind(*this, "an integer");
  }
  return static_cast<std::int64_t>(double_);
}

double Value::as_double() const {
  if (kind_ == Kind::kInt) return static_cast<double>(int_);
  if (kind_ != Kind::kDouble) wrong_kind(*this, "a number");
  return double_;
}

const std::string& Value::as_string() const {
  if (kind_ != Kind::kString) wrong_kind(*this, "a string");
  return string_;
}

const std::vector<Value>& Value::items() const {
  if (kind_ != Kind::kArray) wrong_kind(*this, "an array");
  return items_;
}

const std::vector<Value::Member>& Value::members() const {
  if (kind_ != Kind::kObject) wrong_kind(*this, "an object");
  return members_;
}

const Value* Value::find(std::string_view key) const {
  if (kind_ != Kind::kObject) return nullptr;
  for (const Member& m : members_) {
    if (m.first == key) return &m.second;
  }
  return nullptr;
}

const Value& Value::at(std::string_view key) const {
  if (kind_ != Kind::kObject) wrong_kind(*this, "an object");
  const Value* v = find(key);
  if (v == nullptr) throw ConfigError(pointer_to(pointer_, key) + ": missing key");
  return *v;
}

Value& Value::operator[](std::string_view key) {
  if (kind_ == Kind::kNull) kind_ = Kind::kObject;
  if (kind_ != Kind::kObject) wrong_kind(*this, "an object");
  for (Member& m : members_) {
    if (m.first == key) return m.second;
  }
  members_.emplace_back(std::string(key), Value{});
  return members_.back().second;
}

Value& Value::operator[](std::size_t index) {
  if (kind_ != Kind::kArray) wrong_kind(*this, "an array");
  if (index >= items_.size()) {
    throw ConfigError(pointer_to(pointer_, std::to_string(index)) + ": the array has " + std::to_string(items_.size()) +
                      (items_.size() == 1 ? " element" : " elements"));
  }
  return items_[index];
}

void Value::push_back(Value v) {
  if (kind_ == Kind::kNull) kind_ = Kind::kArray;
  if (kind_ != Kind::kArray) wrong_kind(*this, "an array");
  items_.push_back(std::move(v));
}

bool Value::erase(std::string_view key) {
  for (auto m = members_.begin(); m != members_.end(); ++m) {
    if (m->first == key) {
      members_.erase(m);
      return true;
    }
  }
  return false;
}

void Value::anchor(const std::string& pointer) {
  pointer_ = pointer;
  for (Member& m : members_) m.second.anchor(pointer_to(pointer, m.first));
  for (std::size_t i = 0; i < items_.size(); ++i) items_[i].anchor(pointer + "/" + std::to_string(i));
}

std::string Value::where() const {
  std::string out;
  if (line_ > 0) out = (file_.empty() ? "line " : file_ + ":") + std::to_string(line_) + " ";
  return out + (pointer_.empty() ? "/" : pointer_);
}

std::string to_json(const Value& v, int indent) {
  std::string out;
  append_value(out, v, indent, 0);
  return out;
}

}  // namespace orrery
