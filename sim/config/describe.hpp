/// Self-description: the only place where a parameter has a name. One visitor fills a config from JSON, another lists
/// parameters for `orrery policies --json`, a third writes the resolved config; a described struct knows none of them
/// and no JSON header.
///
///   struct SarathiConfig { Tokens token_budget = 512_tok; };
///   void describe(Describer& d, SarathiConfig& c) {
///     d.field("token_budget", c.token_budget, {1, 1048576}, "Tokens per iteration, running decodes included");
///   }
///
/// The value that a struct has before the visit is the default. Ranges are inclusive, in the field's unit: tokens,
/// blocks and bytes as they are, durations in seconds, rates per second, fractions as numbers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

struct Range {
  double min = -std::numeric_limits<double>::infinity(), max = std::numeric_limits<double>::infinity();
};

/// One name of an enumeration and the number behind it.
struct EnumName { std::string_view name; int value; };

class Describer {
 public:
  virtual ~Describer() = default;
  virtual void field(std::string_view name, std::int64_t& value, Range, std::string_view help,
                     std::string_view unit = "") = 0;
  virtual void field(std::string_view name, double& value, Range, std::string_view help,
                     std::string_view unit = "") = 0;
  virtual void field(std::string_view name, bool& value, std::string_view help) = 0;
  virtual void field(std::string_view name, std::string& value, std::string_view help) = 0;
  virtual void field(std::string_view name, std::vector<double>& value, Range, std::string_view help) = 0;
  virtual void duration(std::string_view name, Duration& value, Range seconds, std::string_view help) = 0;
  virtual void enumeration(std::string_view name, int& value, const std::vector<EnumName>& names,
                           std::string_view help) = 0;
  /// Parameters that are each in range but not together; told where a config is read.
  virtual void error(std::string_view /*name*/, std::string_view /*message*/) {}

  void field(std::string_view name, int& value, Range r, std::string_view help, std::string_view unit = "") {
    auto wide = static_cast<std::int64_t>(value);
    field(name, wide, r, help, unit);
    value = static_cast<int>(wide);
  }
  void field(std::string_view name, Tokens& value, Range r, std::string_view help) {
    count(name, value, r, help, "tokens");
  }
  void field(std::string_view name, Blocks& value, Range r, std::string_view help) {
    count(name, value, r, help, "blocks");
  }
  void field(std::string_view name, Bytes& value, Range r, std::string_view help) {
    count(name, value, r, help, "bytes");
  }
  void field(std::string_view name, Duration& value, Range seconds, std::string_view help) {
    duration(name, value, seconds, help);
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void field(std::string_view name, Enum& value, const std::vector<EnumName>& names, std::string_view help) {
    int number = static_cast<int>(value);
    enumeration(name, number, names, help);
    value = static_cast<Enum>(number);
  }

 private:
  template <class C>
  void count(std::string_view name, C& value, Range r, std::string_view help, std::string_view unit) {
    std::int64_t number = value.value();
    field(name, number, r, help, unit);
    value = C{number};
  }
};

}  // namespace orrery
