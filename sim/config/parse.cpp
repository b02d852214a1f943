#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

/// How far the lexer has read. A token is reported right after its last character, numbers one character later.
struct Position {
  int newlines = 0;
  char last = 0;
  int line() const { return 1 + newlines - (last == '\n' ? 1 : 0); }
};

/// Input iterator that counts lines, since nlohmann's SAX events carry no positions.
class CountingIterator {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  CountingIterator(const char* at, Position* position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    position_->last = *at_;
    if (*at_ == '\n') ++position_->newlines;
    ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator old = *this;
    ++*this;
    return old;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return !(a == b); }

 private:
  const char* at_;
  Position* position_;
};

/// "parse error at line 3, column 5: syntax error while ..." -> "3:5: syntax error while ..."
std::string syntax_message(std::string_view what) {
  const auto field = [&](std::string_view label) -> std::string {
    const auto at = what.find(label);
    if (at == std::string_view::npos) return "";
    const auto begin = at + label.size();
    return std::string(what.substr(begin, what.find_first_not_of("0123456789", begin) - begin));
  };
  const std::string line = field("line "), column = field("column ");
  const auto colon = what.find(": ");
  std::string text(colon == std::string_view::npos ? what : what.substr(colon + 2));
  for (std::size_t at = 0; (at = text.find("; last read: ", at)) != std::string::npos;) text.replace(at, 13, " near ");
  return (line.empty() ? "1" : line) + ":" + (column.empty() ? "1" : column) + ": " + text;
}

}  // namespace

/// Builds a Value from SAX events; the stack holds the open containers.
class JsonReader {
 public:
  JsonReader(std::string name, const Position& position) : name_(std::move(name)), position_(position) {}

  bool null() { return add(Value{}); }
  bool boolean(bool b) { return add(Value(b)); }
  bool number_integer(std::int64_t i) { return add(Value(i)); }
  bool number_unsigned(std::uint64_t u) {
    constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return add(u <= limit ? Value(static_cast<std::int64_t>(u)) : Value(static_cast<double>(u)));
  }
  bool number_float(double d, const std::string&) { return add(Value(d)); }
  bool string(std::string& s) { return add(Value(std::move(s))); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Value::object()); }
  bool start_array(std::size_t) { return open(Value::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& k) {
    Value& object = *open_.back();
    if (const Value* first = object.find(k); first != nullptr && k.rfind("//", 0) != 0) {
      throw ConfigError(place() + ": " + pointer_to(object.pointer(), k) + " is given twice; first on line " +
                        std::to_string(first->line()));
    }
    key_ = std::move(k);
    key_line_ = position_.line();
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& e) {
    throw ConfigError((name_.empty() ? "" : name_ + ":") + syntax_message(e.what()));
  }

  Value root;

 private:
  static constexpr std::size_t kMaxDepth = 200;  // deep recursion would overflow the stack of every walk

  std::string place() const { return (name_.empty() ? "line " : name_ + ":") + std::to_string(position_.line()); }

  bool add(Value v) {
    place_value(std::move(v));
    return true;
  }
  bool open(Value v) {
    if (open_.size() >= kMaxDepth) throw ConfigError(place() + ": nested deeper than 200 levels");
    open_.push_back(place_value(std::move(v)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Value* place_value(Value v) {
    v.file_ = name_;
    v.line_ = position_.line();
    if (open_.empty()) {
      root = std::move(v);
      return &root;
    }
    Value& parent = *open_.back();
    if (parent.kind_ == Value::Kind::kArray) {
      v.pointer_ = parent.pointer_ + "/" + std::to_string(parent.items_.size());
      parent.items_.push_back(std::move(v));
      return &parent.items_.back();
    }
    v.pointer_ = pointer_to(parent.pointer_, key_);
    v.line_ = key_line_;
    parent.members_.emplace_back(std::move(key_), std::move(v));
    return &parent.members_.back().second;
  }

  std::string name_;
  const Position& position_;
  std::vector<Value*> open_;  ///< stable: a container grows only while it is the innermost one
  std::string key_;
  int key_line_ = 0;
};

Value parse_json(std::string_view text, std::string_view name) {
  Position position;
  JsonReader reader{std::string(name), position};
  nlohmann::json::sax_parse(CountingIterator(text.data(), &position),
                            CountingIterator(text.data() + text.size(), &position), &reader,
                            nlohmann::json::input_format_t::json, /*strict=*/true, /*ignore_comments=*/true);
  return std::move(reader.root);
}

Value parse_json_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw ConfigError(path + ": is a directory, not a file");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw ConfigError(path + ": cannot open this file");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_json(text.str(), path);
}

}  // namespace orrery
