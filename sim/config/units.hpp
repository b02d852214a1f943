/// Quantities as a person writes them: an SI number, or a string with a unit. The result is in SI base units: seconds,
/// bytes, per second, watts, joules. Prefixes are decimal (1 kB = 1000 B); KiB, MiB, GiB, TiB are powers of 1024.
///
///   parse_quantity("25GB/s", Dimension::kBytesPerSecond)      == 25e9
///   parse_duration("200ms")                                   == Duration of 2e11 ps, exact
///   parse_quantity("fast", Dimension::kPerSecond)             throws "expected a rate like \"12/s\", got \"fast\""
///
/// Messages carry no pointer; the caller knows it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/base/units.hpp"
#include "sim/config/value.hpp"

namespace orrery {

enum class Dimension { kNumber, kSeconds, kPerSecond, kBytes, kBytesPerSecond, kWatts, kJoules, kHertz };

/// A text is a Value too. A bare number in a string ("12") is taken in SI, as a JSON number is.
double parse_quantity(const Value& v, Dimension dimension);

/// Exact to the picosecond; |value| below 106 days, the horizon of a run. Negative ones parse, the caller's range says.
Duration parse_duration(const Value& v);

/// "500" is no duration: a number in quotes without a unit is more likely meant in another one. Throws ConfigError.
void check_unit(const Value& v, Dimension dimension);

/// The dimension behind a unit of Describer::field ("s", "/s", "bytes", "bytes/s", "W", "J", "Hz"); kNumber for others.
Dimension dimension_of(std::string_view unit);

/// What a user may write, for messages and schemas: `a duration like "200ms"`.
std::string_view expected_form(Dimension dimension);

/// The whole of `text` as a number; nothing for "", "1x", "nan".
std::optional<double> parse_number(std::string_view text);
/// The shortest text that reads back as the same double: 0.1, 512, 1e+20.
std::string format_number(double value);

}  // namespace orrery
