#include "traces/capacity.hpp"

#include <algorithm>
#include <deque>
#include <optional>

#include "traces/parse_text.hpp"
#include "traces/text_file.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

std::vector<std::string> split(std::string_view line, char separator) {
  std::vector<std::string> fields;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(separator, begin), line.size());
    fields.emplace_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return fields;
}

/// All of a text as a number in units of 10^-places; none if it is no number >= 0.
std::optional<std::int64_t> number(std::string text, int places) {
  text += '\n';
  const char* p = text.c_str();
  std::int64_t value = 0;
  if (parse_decimal(p, places, value) != Parsed::kOk || *p != '\n') return std::nullopt;
  return value;
}

class Reader {
 public:
  Reader(TextFile& file, const CapacityRules& rules) : file_(file), rules_(rules) {}

  void header() {
    ++line_;
    if (!file_.more()) return fail("expected the header t_s,op,nodes, got an empty file");
    columns_ = split(file_.take_line(), ',');
    const bool segments = column("trace") >= 0;
    for (const auto* name : {"t_s", "op", "nodes"})
      if (column(name) < 0) fail(std::string("missing column ") + name);
    if (segments && rules_.segment.empty()) fail("the file has segments (column trace): name one");
    if (!segments && !rules_.segment.empty())
      fail("the file has no segments (column trace), got \"" + rules_.segment + "\"");
    if (!errors_.empty()) errors_.raise();
  }

  CapacityTrace read() {
    while (file_.more()) {
      ++line_;
      if (const std::string_view text = file_.take_line(); !text.empty()) row(split(text, ','));
    }
    if (!rules_.segment.empty() && rows_ == 0 && errors_.empty())
      fail("no row of the segment \"" + rules_.segment + "\"");
    if (!says_gone_) add_departures();
    count_most();
    if (!errors_.empty()) errors_.raise();
    return std::move(out_);
  }

 private:
  enum class State : std::uint8_t { kOff, kUp, kAnnounced };

  void fail(const std::string& what) { errors_.add(file_.name(), line_, what); }
  int column(std::string_view name) const {
    const auto it = std::find(columns_.begin(), columns_.end(), name);
    return it == columns_.end() ? -1 : static_cast<int>(it - columns_.begin());
  }

  void row(const std::vector<std::string>& fields) {
    if (fields.size() != columns_.size())
      return fail("expected " + std::to_string(columns_.size()) + " fields, got " + std::to_string(fields.size()));
    const auto field = [&](std::string_view name) { return fields[static_cast<std::size_t>(column(name))]; };
    if (!rules_.segment.empty() && field("trace") != rules_.segment) return;
    ++rows_;
    const auto at = number(field("t_s"), 12);
    if (!at || *at > kMaxTraceSeconds * 1'000'000'000'000)
      return fail("t_s: expected seconds in [0, 9000000], got \"" + field("t_s") + "\"");
    const Time t{Duration{*at}};
    if (t < previous_) return fail("t_s: rows must be in order of time, got " + field("t_s"));
    previous_ = t;
    const std::string op = field("op");
    if (op == "add") return change(t, CapacityEvent::kAdd, field("nodes"));
    if (op == "notice" || (op == "remove" && !rules_.segment.empty()))
      return change(t, CapacityEvent::kNotice, field("nodes"));
    if (op == "gone") return change(t, CapacityEvent::kGone, field("nodes"));
    if (rules_.segment.empty()) fail("op: expected add, notice or gone, got \"" + op + "\"");
  }

  void change(Time t, CapacityEvent::Op op, const std::string& nodes) {
    says_gone_ = says_gone_ || op == CapacityEvent::kGone;
    if (const auto count = number(nodes, 0)) return change_some(t, op, *count);
    const std::size_t before = out_.events.size();
    for (const std::string& name : split(nodes, ' '))
      if (!name.empty()) change_one(t, op, numbered(name));
    if (out_.events.size() == before && errors_.empty())
      fail("nodes: expected names or a number, got \"" + nodes + "\"");
  }

  std::int32_t numbered(const std::string& name) {
    const auto it = std::find(out_.nodes.begin(), out_.nodes.end(), name);
    const auto n = static_cast<std::int32_t>(it - out_.nodes.begin());
    if (it == out_.nodes.end()) {
      out_.nodes.push_back(name);
      states_.push_back(State::kOff);
      deadlines_.push_back(kNever);
    }
    return n;
  }

  void change_some(Time t, CapacityEvent::Op op, std::int64_t count) {
    if (count < 1 || count > 100'000)
      return fail("nodes: expected a number in [1, 100000], got " + std::to_string(count));
    if (op == CapacityEvent::kAdd) {
      for (; count > 0; --count) change_one(t, op, numbered("node-" + std::to_string(out_.nodes.size())));
      return;
    }
    std::vector<std::int32_t> those;
    if (op == CapacityEvent::kGone) those.assign(announced_.begin(), announced_.end());
    those.insert(those.end(), up_.begin(), up_.end());
    if (static_cast<std::int64_t>(those.size()) < count)
      return fail("nodes: " + std::to_string(count) + " cannot go, " + std::to_string(those.size()) + " are there");
    for (std::int64_t i = 0; i < count; ++i) change_one(t, op, those[static_cast<std::size_t>(i)]);
  }

  void change_one(Time t, CapacityEvent::Op op, std::int32_t n) {
    State& state = states_[static_cast<std::size_t>(n)];
    const std::string& name = out_.nodes[static_cast<std::size_t>(n)];
    if (state == State::kAnnounced && !says_gone_ && deadlines_[static_cast<std::size_t>(n)] <= t) state = State::kOff;
    if (op == CapacityEvent::kAdd && state != State::kOff) return fail("nodes: \"" + name + "\" is there already");
    if (op == CapacityEvent::kNotice && state == State::kAnnounced)
      return fail("nodes: \"" + name + "\" is announced already");
    if (op != CapacityEvent::kAdd && state == State::kOff) return fail("nodes: \"" + name + "\" is not there");
    std::erase(up_, n);
    std::erase(announced_, n);
    state = op == CapacityEvent::kAdd ? State::kUp : op == CapacityEvent::kNotice ? State::kAnnounced : State::kOff;
    if (state == State::kUp) up_.push_back(n);
    if (state == State::kAnnounced) announced_.push_back(n);
    deadlines_[static_cast<std::size_t>(n)] = op == CapacityEvent::kNotice ? t + rules_.grace : kNever;
    out_.events.push_back({op, t, n, deadlines_[static_cast<std::size_t>(n)]});
  }

  /// Nodes go when the grace period of their notice is over.
  void add_departures() {
    std::vector<CapacityEvent> gone;
    for (const CapacityEvent& e : out_.events)
      if (e.op == CapacityEvent::kNotice) gone.push_back({CapacityEvent::kGone, e.deadline, e.node, kNever});
    std::vector<CapacityEvent> all;
    std::merge(gone.begin(), gone.end(), out_.events.begin(), out_.events.end(), std::back_inserter(all),
               [](const CapacityEvent& a, const CapacityEvent& b) { return a.at < b.at; });
    out_.events = std::move(all);
  }

  void count_most() {
    std::int32_t there = 0;
    for (const CapacityEvent& e : out_.events) {
      there += e.op == CapacityEvent::kAdd ? 1 : e.op == CapacityEvent::kGone ? -1 : 0;
      out_.most = std::max(out_.most, there);
    }
  }

  TextFile& file_;
  CapacityRules rules_;
  RowErrors errors_;
  CapacityTrace out_;
  std::vector<std::string> columns_{"t_s", "op", "nodes"};
  std::vector<State> states_;
  std::vector<Time> deadlines_;               ///< by node
  std::deque<std::int32_t> up_, announced_;   ///< in the order in which they became so
  std::int64_t line_ = 0, rows_ = 0;
  Time previous_{};
  bool says_gone_ = false;
};

}  // namespace

CapacityTrace read_capacity(const std::string& path, const CapacityRules& rules) {
  TextFile file(path);
  Reader reader(file, rules);
  reader.header();
  return reader.read();
}

CapacityTrace capacity_from_text(const std::string& name, std::string_view rows, const CapacityRules& rules) {
  TextFile file(name, rows);
  return Reader(file, rules).read();
}

}  // namespace orrery
