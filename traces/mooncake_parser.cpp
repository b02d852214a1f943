/// Mooncake JSONL: one flat object a line. Hash id i of a prompt names its i-th block of 512 tokens given all blocks
/// before it (Mooncake, FAST'25, trace release), so ids become segment keys as they are; the last block may be partial.
#include <utility>
#include <vector>

#include "sim/base/rng.hpp"
#include "traces/row_parser.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kHashIdSalt = 0x6861736869640000;  // "hashid"
constexpr std::int64_t kMillisecondPlaces = 9;             // digits of a millisecond down to a picosecond

class MooncakeParser final : public RowParser {
 public:
  explicit MooncakeParser(std::unique_ptr<TextFile> text) : RowParser(std::move(text), TraceFormat::kMooncake) {}

  void restart() override {}

  bool parse() override {
    ++line;
    const std::string_view text = file->take_line();
    p_ = text.data();
    end_ = p_ + text.size();
    skip_space();
    if (p_ == end_) return false;
    timestamp_ = prompt_ = output_ = {};
    seen_hashes_ = false;
    told_ = false;
    segments_.clear();
    if (!object()) {
      if (!told_) errors.add(file->name(), line, "not a JSON object on one line (is the line cut off?)");
      return false;
    }
    return whole_row();
  }

 private:
  using Text = std::string_view;

  void skip_space() { while (p_ != end_ && (*p_ == ' ' || *p_ == '\t' || *p_ == '\r')) ++p_; }
  bool take(char c) {
    skip_space();
    if (p_ == end_ || *p_ != c) return false;
    ++p_;
    return true;
  }

  bool string(Text& out) {
    if (!take('"')) return false;
    const char* start = p_;
    for (; p_ != end_ && *p_ != '"'; ++p_) if (*p_ == '\\' && ++p_ == end_) return false;
    if (p_ == end_) return false;
    out = Text(start, static_cast<std::size_t>(p_ - start));
    ++p_;
    return true;
  }

  /// A number or a word (null, NaN): up to the next , ] } or space.
  Text scalar() {
    skip_space();
    const char* start = p_;
    while (p_ != end_ && *p_ != ',' && *p_ != '}' && *p_ != ']' && *p_ != ' ' && *p_ != '\t') ++p_;
    return {start, static_cast<std::size_t>(p_ - start)};
  }

  /// Any value whose key means nothing here.
  bool skip_value() {
    skip_space();
    Text ignored;
    if (p_ == end_) return false;
    if (*p_ == '"') return string(ignored);
    if (*p_ != '[' && *p_ != '{') return !scalar().empty();
    int depth = 0;
    do {
      skip_space();
      if (p_ == end_) return false;
      if (*p_ == '"') {
        if (!string(ignored)) return false;
        continue;
      }
      depth += *p_ == '[' || *p_ == '{';
      depth -= *p_ == ']' || *p_ == '}';
      ++p_;
    } while (depth > 0);
    return true;
  }

  bool object() {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      Text key;
      skip_space();
      if (!string(key) || !take(':')) return false;
      if (key == "timestamp") timestamp_ = scalar();
      else if (key == "input_length") prompt_ = scalar();
      else if (key == "output_length") output_ = scalar();
      else if (key == "hash_ids") { if (!hash_ids()) return false; }
      else if (!skip_value()) return false;
    } while (take(','));
    if (!take('}')) return false;
    skip_space();
    return p_ == end_;
  }

  bool hash_ids() {
    seen_hashes_ = has_prefixes = true;
    segments_.clear();
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      skip_space();
      std::int64_t id = 0;
      const char* start = p_;
      const Parsed why = p_ == end_ ? Parsed::kEmpty : parse_integer(p_, id);
      if (why != Parsed::kOk) {
        told_ = true;
        p_ = start;
        const Text value = scalar();
        return reject_number(why, "hash_ids", "expected whole numbers", value);
      }
      segments_.push_back({hash_combine(kHashIdSalt, static_cast<std::uint64_t>(id)), Tokens32{kMooncakeBlock}});
    } while (take(','));
    return take(']');
  }

  /// `text` ends before a , } ] space or newline, so the parsers stop there.
  bool tokens(Text text, std::string_view key, Tokens32& out) {
    std::int64_t value = 0;
    const char* p = text.data();
    Parsed why = text.empty() ? Parsed::kEmpty : parse_integer(p, value);
    if (why == Parsed::kOk && (p != text.data() + text.size() || value < 1)) why = Parsed::kNotNumber;
    if (why == Parsed::kOk && value > kMaxRequestTokens) why = Parsed::kHuge;
    if (text == "0" && key == "output_length")
      return reject(key, "expected at least 1 (drop requests that failed)", text);
    if (why != Parsed::kOk) return reject_number(why, key, kTokenRule, text);
    out = Tokens32{static_cast<std::int32_t>(value)};
    return true;
  }

  bool arrival() {
    std::int64_t ps = 0;
    const char* p = timestamp_.data();
    Parsed why = timestamp_.empty() ? Parsed::kEmpty : parse_decimal(p, kMillisecondPlaces, ps);
    if (why == Parsed::kOk && p != timestamp_.data() + timestamp_.size()) why = Parsed::kNotNumber;
    if (why == Parsed::kOk && ps > kMaxTraceSeconds * 1'000'000'000'000) why = Parsed::kHuge;
    if (why != Parsed::kOk) {
      return reject_number(why, "timestamp", "expected milliseconds in [0, 9000000000]", timestamp_);
    }
    row.request.arrival = Time{Duration{ps}};
    return in_order(row.request.arrival, timestamp_);
  }

  bool whole_row() {
    const bool in_time = arrival();
    const bool has_prompt = tokens(prompt_, "input_length", row.request.prompt_tokens);
    const bool has_output = tokens(output_, "output_length", row.request.output_tokens);
    if (!in_time || !has_prompt || !has_output) return false;
    row.request.segments = {};
    if (!seen_hashes_ || segments_.empty()) return true;
    const std::int64_t prompt = row.request.prompt_tokens.value();
    const std::int64_t blocks = ceil_div(prompt, kMooncakeBlock);
    if (static_cast<std::int64_t>(segments_.size()) != blocks) {
      return reject("hash_ids", "expected " + std::to_string(blocks) + " ids, one for each 512 tokens of the prompt",
                    std::to_string(segments_.size()));
    }
    Segment& last = segments_.back();
    last.tokens = Tokens32{static_cast<std::int32_t>(prompt - (blocks - 1) * kMooncakeBlock)};
    if (last.tokens.value() < kMooncakeBlock)
      last.key = hash_combine(last.key, static_cast<std::uint64_t>(last.tokens.value()));
    row.request.segments = segments_;
    return true;
  }

  const char* p_ = nullptr;
  const char* end_ = nullptr;
  Text timestamp_, prompt_, output_;
  bool seen_hashes_ = false, told_ = false;
  std::vector<Segment> segments_;
};

}  // namespace

std::unique_ptr<RowParser> make_mooncake_parser(std::unique_ptr<TextFile> file) {
  return std::make_unique<MooncakeParser>(std::move(file));
}

}  // namespace orrery
