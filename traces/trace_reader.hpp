/// Request traces as files: a stream of rows in order of arrival, one row in memory at a time. The format is known by
/// its first line:
///
///   Azure CSV      TIMESTAMP,ContextTokens,GeneratedTokens        dates, exact to the picosecond
///   Mooncake JSONL {"timestamp": ms, "input_length", "output_length", "hash_ids": [one per 512 tokens]}
///   BurstGPT CSV   Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
///   plain CSV      arrival_s,prompt_tokens,output_tokens[,max_tokens,tenant,class,session,turn,think_s,model,priority,
///                  prefix_id,prefix_tokens,cancel_after_s,deadline_s], columns in any order
///   arrivals       id,t_s,prompt_len (SpotServe's): no outputs, these are given by Needs::output
///   length files   num_prefill_tokens,num_decode_tokens,... (vidur), or plain CSV without arrival_s
///
/// Rules: arrivals do not decrease and lie in [0, 9e6] s; tokens are whole numbers in [1, 1e8]: a row without output
/// (a request that failed) is an error, as are missing, negative, NaN and huge values. `prefix_tokens` are part of
/// `prompt_tokens`; `deadline_s` and `cancel_after_s` count from the arrival. Time 0 of a dated trace is its first row.
///
///   TraceReader trace = TraceReader::open("prod.csv");   // checks every row; throws all errors: "prod.csv:17: ..."
///   while (const TraceRow* row = trace.next()) use(row->request);
///
/// Cost: 1e7 CSV rows a second and more; memory is one row, the distinct names and sessions, and a 256-KiB window.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/request.hpp"
#include "sim/config/value.hpp"

namespace orrery {

inline constexpr std::int64_t kMaxRequestTokens = 100'000'000;
inline constexpr std::int64_t kMaxTraceSeconds = 9'000'000;   ///< below the horizon of a run, 9.2e6 s
inline constexpr std::int32_t kMooncakeBlock = 512;           ///< tokens of one hash id (FAST'25 release)

/// Small numbers for the names of one column, from 0 in order of appearance; 0 is "" (not stated).
class NameTable {
 public:
  std::uint32_t intern(std::string_view name);
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::vector<std::string> names_{""};
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> ids_;
  std::uint32_t last_ = 0;   ///< rows often repeat the name before
};

struct TraceNames { NameTable tenants, classes, models; };

/// One row. `request.arrival` is on the trace's own clock, `number` the row's ordinal, `max_tokens` 0 if not stated,
/// `session` 0 if none; segments stay valid until the next row.
struct TraceRow {
  Request request;
  Duration think{-1};                          ///< before this turn, after the turn before it; -1: not stated
  Duration deadline_after = Duration::max();   ///< max: none
  bool declared_prefix = false;                ///< segments[0] came from prefix_id: shared beyond copies of the trace
};

enum class TraceFormat { kAzure, kBurstGpt, kPlain, kLengths, kMooncake };
std::string_view name_of(TraceFormat format);

/// What a whole trace says, known after the check.
struct TraceFacts {
  TraceFormat format{};
  std::int64_t rows = 0;
  bool has_arrivals = false, has_sessions = false, has_think = false, has_max_tokens = false;
  bool has_prefixes = false;       ///< rows name prefixes that they share
  Time first{}, last{};
  Duration day_start{};            ///< time of day at time 0; 0 for traces in plain seconds
  Wide prompt_sum = 0, output_sum = 0;
  std::int64_t longest_prompt = 0, longest_total = 0;
  std::uint64_t content_hash = 0;  ///< of arrivals and lengths
};

/// Bad rows, each "file:line: rule, got value": the first 20 in full, then their number.
class RowErrors {
 public:
  static constexpr int kShown = 20;
  void add(const std::string& file, std::int64_t line, const std::string& what);
  bool empty() const { return count_ == 0; }
  [[noreturn]] void raise() const;

 private:
  std::int64_t count_ = 0;
  std::string text_;
};

/// One file format: turns lines into rows. `parse_row` fills `row` from the line at the cursor and moves behind it;
/// false: the line is bad (told to `errors`) or blank.
class RowParser;

class TraceReader {
 public:
  struct Needs {
    bool arrivals = true;
    std::int64_t output = 0;       ///< tokens of every request of a trace without outputs; 0: it must have them
  };

  /// Opens, checks every row and rewinds. Throws ConfigError.
  static TraceReader open(const std::string& path, Needs needs);
  static TraceReader open(const std::string& path) { return open(path, Needs{}); }
  /// The same for text in memory, which must outlive the reader; `name` stands for the path.
  static TraceReader from_text(const std::string& name, std::string_view text, Needs needs);
  static TraceReader from_text(const std::string& name, std::string_view text) {
    return from_text(name, text, Needs{});
  }

  TraceReader(TraceReader&&) noexcept;
  TraceReader& operator=(TraceReader&&) noexcept;
  ~TraceReader();

  /// The next row, or nullptr at the end. It is the reader's own; valid until the next call.
  const TraceRow* next();
  void rewind();
  const TraceFacts& facts() const { return facts_; }
  const TraceNames& names() const;
  const std::string& path() const;

 private:
  explicit TraceReader(std::unique_ptr<RowParser> parser);
  void check(Needs needs);

  std::unique_ptr<RowParser> parser_;
  TraceFacts facts_;
};

}  // namespace orrery
