#include "traces/trace_reader.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/rng.hpp"
#include "traces/row_parser.hpp"

namespace orrery {
namespace {

/// A value as it goes into a message: short and printable.
std::string shown(std::string_view value) {
  std::string out = "\"";
  for (char c : value.substr(0, 60)) out += static_cast<unsigned char>(c) < 32 ? '?' : c;
  return out + (value.size() > 60 ? "...\"" : "\"");
}

std::unique_ptr<RowParser> parser_for(std::unique_ptr<TextFile> file) {
  if (!file->more()) throw ConfigError(file->name() + ": is empty");
  return *file->cursor == '{' ? make_mooncake_parser(std::move(file)) : make_csv_parser(std::move(file));
}

}  // namespace

std::uint32_t NameTable::intern(std::string_view name) {
  if (name == names_[last_]) return last_;
  if (name.empty()) return last_ = 0;
  if (const auto it = ids_.find(name); it != ids_.end()) return last_ = it->second;
  last_ = static_cast<std::uint32_t>(names_.size());
  names_.emplace_back(name);
  ids_.emplace(std::string(name), last_);
  return last_;
}

std::string_view name_of(TraceFormat format) {
  switch (format) {
    case TraceFormat::kAzure: return "azure";
    case TraceFormat::kBurstGpt: return "burstgpt";
    case TraceFormat::kPlain: return "plain";
    case TraceFormat::kLengths: return "lengths";
    case TraceFormat::kMooncake: return "mooncake";
  }
  return "";
}

void RowErrors::add(const std::string& file, std::int64_t line, const std::string& what) {
  if (++count_ > kShown) return;
  if (count_ > 1) text_ += '\n';
  text_ += file + ":" + std::to_string(line) + ": " + what;
}

void RowErrors::raise() const {
  throw ConfigError(count_ <= kShown ? text_ : text_ + "\nand " + std::to_string(count_ - kShown) + " more");
}

bool RowParser::reject(std::string_view column, std::string_view rule, std::string_view value) {
  errors.add(file->name(), line, std::string(column) + ": " + std::string(rule) + ", got " + shown(value));
  return false;
}

bool RowParser::reject_number(Parsed why, std::string_view column, std::string_view rule, std::string_view value) {
  const auto say = [&](const std::string& what) {
    errors.add(file->name(), line, std::string(column) + ": " + what);
    return false;
  };
  if (value.empty()) return say("missing value; " + std::string(rule));
  switch (why) {
    case Parsed::kNegative: return say("must not be negative, got " + shown(value));
    case Parsed::kHuge: return say("too large; " + std::string(rule) + ", got " + shown(value));
    case Parsed::kNotInteger: return say("must be a whole number, got " + shown(value));
    default: return reject(column, rule, value);
  }
}

bool RowParser::in_order(Time arrival, std::string_view value) {
  if (arrival < previous) {
    errors.add(file->name(), line,
               "arrival " + shown(value) + " is before that of the row above; sort the trace by arrival");
    previous = arrival;
    return false;
  }
  previous = arrival;
  return true;
}

TraceReader::TraceReader(std::unique_ptr<RowParser> parser) : parser_(std::move(parser)) {}
TraceReader::TraceReader(TraceReader&&) noexcept = default;
TraceReader& TraceReader::operator=(TraceReader&&) noexcept = default;
TraceReader::~TraceReader() = default;

TraceReader TraceReader::open(const std::string& path, Needs needs) {
  TraceReader reader(parser_for(std::make_unique<TextFile>(path)));
  reader.check(needs);
  return reader;
}

TraceReader TraceReader::from_text(const std::string& name, std::string_view text, Needs needs) {
  TraceReader reader(parser_for(std::make_unique<TextFile>(name, text)));
  reader.check(needs);
  return reader;
}

const TraceNames& TraceReader::names() const { return parser_->names; }
const std::string& TraceReader::path() const { return parser_->file->name(); }

const TraceRow* TraceReader::next() {
  RowParser& p = *parser_;
  while (p.file->more()) {
    if (p.parse()) {
      ++p.row.request.number;
      return &p.row;
    }
    if (!p.errors.empty()) p.errors.raise();  // only if the file changed since the check
  }
  return nullptr;
}

void TraceReader::rewind() {
  RowParser& p = *parser_;
  p.file->rewind();
  p.line = 0;
  p.previous = Time{};
  p.row.request.number = static_cast<std::uint64_t>(-1);   // the first row becomes 0
  p.restart();
}

void TraceReader::check(Needs needs) {
  RowParser& p = *parser_;
  if (needs.arrivals && !p.has_arrivals) {
    throw ConfigError(path() +
                      ":1: missing column arrival_s; a file of lengths can be used only under /workload/lengths");
  }
  if (!p.has_outputs && needs.output == 0)
    throw ConfigError(path() + ":1: has no output lengths; beside the trace, say \"lengths\": {\"output\": N}");
  if (p.has_outputs && needs.output > 0)
    throw ConfigError(path() + ":1: the trace has lengths of its own; only max_tokens and max_total go with it");
  if (!p.has_outputs) p.row.request.output_tokens = Tokens32{static_cast<std::int32_t>(needs.output)};
  rewind();
  TraceFacts& f = facts_;
  const Request& r = p.row.request;
  while (p.file->more()) {
    if (!p.parse()) continue;
    const std::int64_t prompt = r.prompt_tokens.value(), output = r.output_tokens.value();
    if (f.rows++ == 0) f.first = r.arrival;
    f.last = r.arrival;
    f.prompt_sum += prompt;
    f.output_sum += output;
    f.longest_prompt = std::max(f.longest_prompt, prompt);
    f.longest_total = std::max(f.longest_total, prompt + output);
    f.content_hash = hash_combine(f.content_hash, static_cast<std::uint64_t>(to_ps(r.arrival)));
    f.content_hash =
        hash_combine(f.content_hash, static_cast<std::uint64_t>(prompt) << 32 | static_cast<std::uint64_t>(output));
  }
  if (!p.errors.empty()) p.errors.raise();
  if (f.rows == 0) throw ConfigError(path() + ": holds no requests");
  f.format = p.format;
  f.has_arrivals = p.has_arrivals;
  f.has_sessions = p.has_sessions;
  f.has_think = p.has_think;
  f.has_max_tokens = p.has_max_tokens;
  f.has_prefixes = p.has_prefixes;
  f.day_start = p.day_start;
  rewind();
}

}  // namespace orrery
