/// CSV traces: the header names the columns, each column has a kind, and a row is one pass over its characters.
#include <algorithm>
#include <array>
#include <optional>

#include "sim/base/rng.hpp"
#include "sim/config/names.hpp"
#include "traces/row_parser.hpp"

namespace orrery {
namespace {

enum class Kind : std::uint8_t {
  kSkip, kDate, kSeconds, kPrompt, kOutput, kMaxTokens, kTenant, kClass, kSession, kTurn, kThink, kModel, kPriority,
  kPrefixId, kPrefixTokens, kCancelAfter, kDeadline,
};

struct Name { std::string_view name; Kind kind; };

constexpr std::array kAzureColumns{Name{"TIMESTAMP", Kind::kDate}, Name{"ContextTokens", Kind::kPrompt},
                                   Name{"GeneratedTokens", Kind::kOutput}};
constexpr std::array kBurstColumns{Name{"Timestamp", Kind::kSeconds}, Name{"Request tokens", Kind::kPrompt},
                                   Name{"Response tokens", Kind::kOutput}, Name{"Model", Kind::kModel},
                                   Name{"Session ID", Kind::kSession}};
constexpr std::array kVidurColumns{Name{"num_prefill_tokens", Kind::kPrompt}, Name{"num_decode_tokens", Kind::kOutput}};
constexpr std::array kPlainColumns{
    Name{"prompt_tokens", Kind::kPrompt}, Name{"output_tokens", Kind::kOutput}, Name{"arrival_s", Kind::kSeconds},
    Name{"max_tokens", Kind::kMaxTokens}, Name{"tenant", Kind::kTenant}, Name{"class", Kind::kClass},
    Name{"session", Kind::kSession}, Name{"turn", Kind::kTurn}, Name{"think_s", Kind::kThink},
    Name{"model", Kind::kModel}, Name{"priority", Kind::kPriority}, Name{"prefix_id", Kind::kPrefixId},
    Name{"prefix_tokens", Kind::kPrefixTokens}, Name{"cancel_after_s", Kind::kCancelAfter},
    Name{"deadline_s", Kind::kDeadline},
    Name{"client", Kind::kTenant}};  // the VTC artifact's word for a tenant

constexpr std::array kArtifactColumns{Name{"prompt_len", Kind::kPrompt}, Name{"t_s", Kind::kSeconds}};

constexpr std::uint64_t kPrefixSalt = 0x7072656669780000;  // "prefix"

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '"')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '"')) s.remove_suffix(1);
  return s;
}

std::vector<std::string> header_names(std::string_view line) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(',', begin), line.size());
    names.emplace_back(trimmed(line.substr(begin, end - begin)));
    begin = end + 1;
  }
  return names;
}

template <std::size_t N>
std::optional<Kind> kind_of(std::string_view name, const std::array<Name, N>& known) {
  for (const Name& k : known) if (k.name == name) return k.kind;
  return std::nullopt;
}

/// Days since 1970-01-01 in the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
constexpr std::int64_t days_from_civil(std::int64_t y, int m, int d) {
  y -= m <= 2;
  const std::int64_t era = y / 400, yoe = y - era * 400;
  const std::int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

constexpr std::int64_t kSecond = 1'000'000'000'000;  // ps
constexpr const char* kDateRule = "expected a time like 2023-11-16 18:15:46.6805900";

class CsvParser final : public RowParser {
 public:
  explicit CsvParser(std::unique_ptr<TextFile> text) : RowParser(std::move(text), TraceFormat::kPlain) {
    line = 1;
    header_ = header_names(file->take_line());
    read_header();
    column_count_ = static_cast<int>(kinds_.size());
    has_arrivals = has(Kind::kSeconds) || has(Kind::kDate);
    if (format == TraceFormat::kPlain && !has_arrivals) format = TraceFormat::kLengths;
    has_sessions = has(Kind::kSession);
    has_think = has(Kind::kThink);
    has_max_tokens = has(Kind::kMaxTokens);
    has_prefixes = has(Kind::kPrefixId);
    rows_stand_alone_ = !has_max_tokens && !has(Kind::kPrefixId);
  }

  void restart() override {
    if (!file->more()) throw ConfigError(file->name() + ": changed while it was read");
    file->take_line();
    line = 1;
    if (sessions_read_) interned_sessions_ = !numeric_sessions_;
  }

  bool parse() override {
    ++line;
    const char* p = file->cursor;
    if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {   // blank
      file->cursor = p + (*p == '\r' ? 2 : 1);
      return false;
    }
    bool good = true;
    prefix_key_ = 0;
    prefix_tokens_ = 0;
    for (int i = 0; i < column_count_; ++i) {
      const char* start = p;
      const bool fine = field(kinds_[static_cast<std::size_t>(i)], p);
      const bool ends = *p == ',' || *p == '\n' || (*p == '\r' && p[1] == '\n');
      if (!fine || !ends) {
        const char* value_end = field_end(start);
        if (fine) refuse(i, Parsed::kNotNumber, start, value_end);
        else if (pending_ != Parsed::kOk) refuse(i, pending_, start, value_end);
        good = false;
        p = value_end;
      }
      if (i + 1 < column_count_) {
        if (*p != ',') { wrong_width(i + 1, p); return false; }
        ++p;
      } else if (*p == ',') {
        wrong_width(column_count_ + 1, p);
        return false;
      }
    }
    file->cursor = p + (*p == '\r' ? 2 : 1);
    return good && (rows_stand_alone_ || whole_row());
  }

 private:
  bool has(Kind k) const { return std::find(kinds_.begin(), kinds_.end(), k) != kinds_.end(); }
  bool header_has(std::string_view name) const {
    return std::find(header_.begin(), header_.end(), name) != header_.end();
  }

  void read_header() {
    if (header_has("TIMESTAMP")) {
      format = TraceFormat::kAzure;
      take_columns(kAzureColumns, false);
    } else if (header_has("Request tokens")) {
      format = TraceFormat::kBurstGpt;
      take_columns(kBurstColumns, false);
    } else if (header_has("num_prefill_tokens")) {
      format = TraceFormat::kLengths;
      take_columns(kVidurColumns, false);
    } else if (header_has("prompt_len")) {
      has_outputs = false;
      take_columns(kArtifactColumns, false);
      return;
    } else if (header_has("prompt_tokens") || header_has("output_tokens") || header_has("arrival_s")) {
      take_columns(kPlainColumns, true);
    } else {
      throw ConfigError(file->name() + ":1: not a known trace: the header has none of TIMESTAMP,ContextTokens,"
                        "GeneratedTokens (Azure), Timestamp,Request tokens,Response tokens (BurstGPT) or "
                        "arrival_s,prompt_tokens,output_tokens (plain), and the line is no JSON object (Mooncake)");
    }
    for (const Kind k : {Kind::kPrompt, Kind::kOutput}) require(k);
    if (format == TraceFormat::kBurstGpt) require(Kind::kSeconds);
    if (has(Kind::kPrefixId) != has(Kind::kPrefixTokens)) {
      errors.add(file->name(), 1, "prefix_id and prefix_tokens go together");
    }
    if (!errors.empty()) errors.raise();
  }

  /// The word of this format for a kind of column.
  std::string_view word(Kind k) const {
    const auto in = [k](const auto& known) {
      for (const Name& n : known) if (n.kind == k) return n.name;
      return std::string_view{};
    };
    if (format == TraceFormat::kAzure) return in(kAzureColumns);
    if (format == TraceFormat::kBurstGpt) return in(kBurstColumns);
    return has_vidur_ ? in(kVidurColumns) : in(kPlainColumns);
  }

  void require(Kind k) {
    if (!has(k)) errors.add(file->name(), 1, "missing column " + std::string(word(k)));
  }

  template <std::size_t N>
  void take_columns(const std::array<Name, N>& known, bool all_known) {
    has_vidur_ = format == TraceFormat::kLengths;
    for (const std::string& name : header_) {
      const std::optional<Kind> kind = kind_of(name, known);
      if (kind && has(*kind)) errors.add(file->name(), 1, "column " + name + " appears twice");
      if (!kind && name == "parent") {
        errors.add(file->name(), 1, "column parent: not available in this version");
      } else if (!kind && all_known) {
        std::vector<std::string> all;
        for (const Name& k : known) all.emplace_back(k.name);
        errors.add(file->name(), 1, unknown_name("column", name, all));
      }
      kinds_.push_back(kind.value_or(Kind::kSkip));
    }
  }

  static const char* field_end(const char* p) {
    if (*p == '"') {
      for (++p; *p != '\n' && !(*p == '"' && p[1] != '"'); ++p) if (*p == '"') ++p;
      if (*p == '"') ++p;
    }
    while (*p != ',' && *p != '\n' && !(*p == '\r' && p[1] == '\n')) ++p;
    return p;
  }

  void skip_line(const char* p) {
    while (*p != '\n') ++p;
    file->cursor = p + 1;
  }

  void wrong_width(int got, const char* p) {
    const bool more = got > column_count_;
    errors.add(file->name(), line,
               "expected " + std::to_string(column_count_) + " fields, got " + (more ? "more" : std::to_string(got)) +
                   (more ? "" : " (is the line cut off?)"));
    skip_line(p);
  }

  static bool empty_field(const char* p) { return *p == ',' || *p == '\n' || *p == '\r'; }

  bool token_field(const char*& p, Tokens32& out) {
    std::int64_t value = 0;
    pending_ = parse_integer(p, value);
    if (pending_ != Parsed::kOk) return false;
    if (value < 1) pending_ = Parsed::kNotNumber;
    if (value > kMaxRequestTokens) pending_ = Parsed::kHuge;
    out = Tokens32{static_cast<std::int32_t>(value)};
    return pending_ == Parsed::kOk;
  }

  bool seconds_field(const char*& p, std::int64_t& ps) {
    pending_ = parse_decimal(p, 12, ps);
    if (pending_ == Parsed::kOk && ps > kMaxTraceSeconds * kSecond) pending_ = Parsed::kHuge;
    return pending_ == Parsed::kOk;
  }

  bool optional_seconds(const char*& p, Duration& out, Duration absent) {
    out = absent;
    if (empty_field(p)) return true;
    std::int64_t ps = 0;
    if (!seconds_field(p, ps)) return false;
    out = Duration{ps};
    return true;
  }

  bool arrival_is(std::int64_t ps, const char* from, const char* to) {
    row.request.arrival = Time{Duration{ps}};
    pending_ = Parsed::kOk;   // in_order tells its own error
    return in_order(row.request.arrival, {from, static_cast<std::size_t>(to - from)});
  }

  std::string_view text_field(const char*& p) {
    if (*p != '"') {
      const char* start = p;
      p = field_end(p);
      return {start, static_cast<std::size_t>(p - start)};
    }
    unquoted_.clear();
    const char* end = field_end(p);
    for (++p; p < end && !(*p == '"' && p[1] != '"'); ++p) {
      if (*p == '"') ++p;
      unquoted_ += *p;
    }
    p = end;
    return unquoted_;
  }

  bool small_name(const char*& p, NameTable& table, std::uint16_t& out) {
    const std::uint32_t id = table.intern(text_field(p));
    out = static_cast<std::uint16_t>(id);
    pending_ = Parsed::kHuge;
    return id <= 0xffff;
  }

  /// A session named by a number keeps it (+1, as 0 means none) as long as all are numbers; others are interned.
  bool session_field(const char*& p) {
    const std::string_view text = text_field(p);
    sessions_read_ = true;
    row.request.session = 0;
    if (text.empty()) return true;
    if (interned_sessions_) {
      row.request.session = sessions_.intern(text);
      return true;
    }
    std::uint64_t value = 0;
    bool numeric = text.size() <= 9 && (text.size() == 1 || text[0] != '0');
    for (char c : text) {
      numeric = numeric && is_digit(c);
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    numeric_sessions_ = numeric_sessions_ && numeric;
    row.request.session = static_cast<std::uint32_t>(numeric ? value + 1 : 1);
    return true;
  }

  bool field(Kind kind, const char*& p) {
    Request& r = row.request;
    std::int64_t value = 0;
    const char* start = p;
    switch (kind) {
      case Kind::kSkip: p = field_end(p); return true;
      case Kind::kDate: return date_field(p);
      case Kind::kSeconds: return seconds_field(p, value) && arrival_is(value, start, p);
      case Kind::kPrompt: return token_field(p, r.prompt_tokens);
      case Kind::kOutput: return token_field(p, r.output_tokens);
      case Kind::kMaxTokens:
        r.max_tokens = Tokens32{};
        return empty_field(p) || token_field(p, r.max_tokens);
      case Kind::kTenant: return small_name(p, names.tenants, r.tenant);
      case Kind::kClass: return small_name(p, names.classes, r.request_class);
      case Kind::kModel: return small_name(p, names.models, r.model);
      case Kind::kSession: return session_field(p);
      case Kind::kTurn:
        r.turn = 0;
        if (empty_field(p)) return true;
        pending_ = parse_integer(p, value);
        if (pending_ == Parsed::kOk && value > 1'000'000) pending_ = Parsed::kHuge;
        r.turn = static_cast<std::uint32_t>(value);
        return pending_ == Parsed::kOk;
      case Kind::kThink: return optional_seconds(p, row.think, Duration{-1});
      case Kind::kPriority: return priority_field(p);
      case Kind::kPrefixId: {
        const std::string_view text = text_field(p);
        if (text.empty()) return true;
        prefix_key_ = kPrefixSalt;
        for (char c : text) prefix_key_ = hash_combine(prefix_key_, static_cast<unsigned char>(c));
        return true;
      }
      case Kind::kPrefixTokens:
        if (empty_field(p)) return true;
        pending_ = parse_integer(p, prefix_tokens_);
        if (pending_ == Parsed::kOk && prefix_tokens_ > kMaxRequestTokens) pending_ = Parsed::kHuge;
        return pending_ == Parsed::kOk;
      case Kind::kCancelAfter: return optional_seconds(p, r.cancel_after, Duration::max());
      case Kind::kDeadline: return optional_seconds(p, row.deadline_after, Duration::max());
    }
    return true;
  }

  bool priority_field(const char*& p) {
    row.request.priority = 0;
    if (empty_field(p)) return true;
    const bool negative = *p == '-';
    if (negative) ++p;
    std::int64_t value = 0;
    pending_ = parse_integer(p, value);
    if (pending_ == Parsed::kNegative) pending_ = Parsed::kNotNumber;
    if (pending_ == Parsed::kOk && value > 32767) pending_ = Parsed::kHuge;
    row.request.priority = static_cast<std::int16_t>(negative ? -value : value);
    return pending_ == Parsed::kOk;
  }

  static int two_digits(const char* q) { return (q[0] - '0') * 10 + (q[1] - '0'); }

  /// "YYYY-MM-DD HH:MM:" into minute_seconds_ since 1970.
  bool read_minute(const char* p) {
    for (std::size_t i = 0; i < minute_.size(); ++i) {
      const char form = "dddd-dd-dd_dd:dd:"[i];
      const bool fits = form == 'd' ? is_digit(p[i]) : form == '_' ? p[i] == ' ' || p[i] == 'T' : p[i] == form;
      if (!fits) return false;
    }
    const int month = two_digits(p + 5), day = two_digits(p + 8), hour = two_digits(p + 11),
              minute = two_digits(p + 14);
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59) return false;
    minute_seconds_ =
        days_from_civil(two_digits(p) * 100 + two_digits(p + 2), month, day) * 86400 + hour * 3600 + minute * 60;
    std::copy(p, p + minute_.size(), minute_.begin());
    minute_known_ = true;
    return true;
  }

  /// YYYY-MM-DD HH:MM:SS[.fraction][Z|+HH:MM], 'T' may stand for the space. All up to the minute is remembered: rows
  /// seldom change it.
  bool date_field(const char*& p) {
    const char* start = p;
    pending_ = Parsed::kNotNumber;
    const bool same_minute = minute_known_ && std::equal(minute_.begin(), minute_.end(), p);   // within TextFile::kPad
    if (!same_minute && !read_minute(p)) return false;
    if (!is_digit(p[17]) || !is_digit(p[18])) return false;
    const int second = two_digits(p + 17);
    if (second > 60) return false;
    std::int64_t seconds = minute_seconds_ + second;
    p += 19;
    std::int64_t fraction = 0;
    if (*p == '.') {
      int places = 0;
      for (++p; is_digit(*p); ++p) {
        if (places == 12) return false;
        fraction = fraction * 10 + (*p - '0');
        ++places;
      }
      static constexpr std::int64_t kPower[13] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000,
                                                  1000000000, 10000000000, 100000000000, 1000000000000};
      fraction *= kPower[12 - places];
    }
    if (*p == 'Z') {
      ++p;
    } else if ((*p == '+' || *p == '-') && is_digit(p[1]) && is_digit(p[2]) && p[3] == ':' && is_digit(p[4]) &&
               is_digit(p[5])) {
      const int offset = two_digits(p + 1) * 3600 + two_digits(p + 4) * 60;
      seconds -= *p == '+' ? offset : -offset;
      p += 6;
    }
    if (!dated_) {
      dated_ = true;
      epoch_seconds_ = seconds;
      epoch_fraction_ = fraction;
      day_start = Duration{(seconds % 86400) * kSecond + fraction};
    }
    seconds -= epoch_seconds_;
    if (seconds > kMaxTraceSeconds) { pending_ = Parsed::kHuge; return false; }
    const std::int64_t ps = seconds < -kMaxTraceSeconds ? -1 : seconds * kSecond + fraction - epoch_fraction_;
    return arrival_is(ps, start, p);
  }

  void refuse(int column, Parsed why, const char* from, const char* to) {
    const auto index = static_cast<std::size_t>(column);
    const std::string_view value(from, static_cast<std::size_t>(to - from));
    const std::string& name = header_[index];
    switch (kinds_[index]) {
      case Kind::kDate:
        reject_number(why, name, why == Parsed::kHuge ? "a trace spans at most 9000000 s" : kDateRule, value);
        return;
      case Kind::kSeconds:
        if (why == Parsed::kHuge) {
          reject(name, "expected seconds since the start of the trace in [0, 9000000] (a date in Unix time?)", value);
          return;
        }
        reject_number(why, name, kTimeRule, value);
        return;
      case Kind::kPrompt: case Kind::kMaxTokens: reject_number(why, name, kTokenRule, value); return;
      case Kind::kOutput:
        if (value == "0") reject(name, "expected at least 1 (drop requests that failed)", value);
        else reject_number(why, name, kTokenRule, value);
        return;
      case Kind::kTurn: reject_number(why, name, "expected a whole number in [0, 1000000]", value); return;
      case Kind::kPriority: reject_number(why, name, "expected a whole number in [-32767, 32767]", value); return;
      case Kind::kPrefixTokens: reject_number(why, name, "expected a whole number in [0, 100000000]", value); return;
      case Kind::kTenant: case Kind::kClass: case Kind::kModel:
        reject(name, "more than 65535 distinct names", value);
        return;
      default: reject_number(why, name, kTimeRule, value); return;
    }
  }

  /// Rules between columns.
  bool whole_row() {
    Request& r = row.request;
    if (has_max_tokens && r.max_tokens.value() != 0 && r.max_tokens < r.output_tokens) {
      return reject("max_tokens", "must be at least output_tokens (" + std::to_string(r.output_tokens.value()) + ")",
                    std::to_string(r.max_tokens.value()));
    }
    if (prefix_tokens_ > r.prompt_tokens.value()) {
      return reject("prefix_tokens", "must be at most prompt_tokens (" + std::to_string(r.prompt_tokens.value()) + ")",
                    std::to_string(prefix_tokens_));
    }
    row.declared_prefix = prefix_key_ != 0 && prefix_tokens_ > 0;
    if (row.declared_prefix) {
      const auto tokens = static_cast<std::int32_t>(prefix_tokens_);
      prefix_ = Segment{hash_combine(prefix_key_, static_cast<std::uint64_t>(tokens)), Tokens32{tokens}};
      r.segments = {&prefix_, 1};
    } else {
      r.segments = {};
    }
    return true;
  }

  std::vector<std::string> header_;
  std::vector<Kind> kinds_;
  int column_count_ = 0;
  bool has_vidur_ = false;
  bool rows_stand_alone_ = true;              ///< no rule between columns to check
  Parsed pending_ = Parsed::kOk;              ///< why field() said no; kOk: it told the error itself
  std::array<char, 17> minute_{};              ///< "2023-11-16 18:15:" of the row before
  std::int64_t minute_seconds_ = 0, epoch_seconds_ = 0, epoch_fraction_ = 0;
  bool minute_known_ = false, dated_ = false;
  bool sessions_read_ = false, numeric_sessions_ = true, interned_sessions_ = false;
  NameTable sessions_;
  std::uint64_t prefix_key_ = 0;
  std::int64_t prefix_tokens_ = 0;
  Segment prefix_{};
  std::string unquoted_;
};

}  // namespace

std::unique_ptr<RowParser> make_csv_parser(std::unique_ptr<TextFile> file) {
  return std::make_unique<CsvParser>(std::move(file));
}

}  // namespace orrery
