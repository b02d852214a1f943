/// What the sections of the screen are written with: values of the summary by dotted key, and lines of text.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "sim/config/value.hpp"

namespace orrery::screen {

double number_at(const Value& s, std::string_view path);        ///< NaN if there is no number
std::string text_at(const Value& s, std::string_view path);     ///< "" if there is no text
std::int64_t count_at(const Value& s, std::string_view path);   ///< 0 if there is no number

std::string joined(const Value& list, std::string_view separator);
/// The source of a number as the screen names it; the file has all of it.
std::string short_source(const std::string& source, std::string_view stops);
std::string padded(std::string text, std::size_t width);   ///< to `width` code points
/// " label      rest"; long rests continue below.
std::string line(std::string_view label, std::string_view rest);

/// " [low, high]", both times `scale`; "" where there is no interval.
std::string bracket(const Value& s, const std::string& path, double scale);

/// Shares of a whole, those that are there: "queue 52 %, own prompt 12 %". Less than half a permille is not shown.
/// `names`: pairs of a key of `parts` and its label.
std::string shares_text(const Value& parts, double whole,
                        std::initializer_list<std::pair<const char*, const char*>> names);

}  // namespace orrery::screen
