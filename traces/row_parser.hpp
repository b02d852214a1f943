/// Inside of trace_reader.hpp: what a file format provides, and the messages that all of them share.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "traces/parse_text.hpp"
#include "traces/text_file.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {

class RowParser {
 public:
  RowParser(std::unique_ptr<TextFile> text, TraceFormat kind) : file(std::move(text)), format(kind) {}
  virtual ~RowParser() = default;

  /// Fills `row` from the line at the cursor and moves behind it. False: blank, or bad and told to `errors`.
  virtual bool parse() = 0;
  /// Behind the header, before the first row.
  virtual void restart() = 0;

  std::unique_ptr<TextFile> file;
  TraceFormat format;
  TraceNames names;
  TraceRow row;
  RowErrors errors;
  std::int64_t line = 0;              ///< of the row just read, from 1
  Time previous{};                    ///< arrival of the row before, for the order
  Duration day_start{};
  bool has_outputs = true;
  bool has_arrivals = true, has_sessions = false, has_think = false, has_max_tokens = false,
       has_prefixes = false;

 protected:
  /// Rejects `value` of a column: "prod.csv:17: prompt_tokens: expected ..., got "abc"".
  bool reject(std::string_view column, std::string_view rule, std::string_view value);
  /// Checks the order and moves `previous` on.
  bool in_order(Time arrival, std::string_view value);
  /// Why a number did not parse, in words; `rule` is what was expected.
  bool reject_number(Parsed why, std::string_view column, std::string_view rule, std::string_view value);
};

std::unique_ptr<RowParser> make_csv_parser(std::unique_ptr<TextFile> file);
std::unique_ptr<RowParser> make_mooncake_parser(std::unique_ptr<TextFile> file);

inline constexpr const char* kTokenRule = "expected a whole number in [1, 100000000]";
inline constexpr const char* kTimeRule = "expected seconds in [0, 9000000]";

}  // namespace orrery
