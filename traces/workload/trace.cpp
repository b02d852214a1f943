#include "traces/workload/parts.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/config/reader.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

/// Rows inside the window, and the first of them.
std::int64_t rows_within(TraceReader& reader, const TraceRules& rules) {
  if (rules.from == Time{} && rules.to == kNever) return reader.facts().rows;
  std::int64_t count = 0;
  reader.rewind();
  while (const TraceRow* row = reader.next()) {
    if (row->request.arrival >= rules.to) break;
    count += row->request.arrival >= rules.from;
  }
  return count;
}

std::string span_of(const TraceFacts& f, bool clock) {
  const auto text = [&](Time t) {
    if (!clock) return format_duration(Duration{std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch())});
    const auto s = std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch() + f.day_start).count();
    const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    return two(s / 3600) + ":" + two(s / 60 % 60) + ":" + two(s % 60);
  };
  return text(f.first) + ".." + text(f.last);
}

}  // namespace

std::unique_ptr<RequestSource> trace_workload(WorkloadContext& c, ObjectReader& in, const Value& workload) {
  std::string name;
  TraceRules rules;
  in.string("trace", name);
  if (in.take("tenants") != nullptr) in.error("tenants", "a trace has tenants of its own (column tenant)");
  if (in.take("models") != nullptr) in.error("models", "a trace has models of its own (column model)");
  LengthChoice lengths;
  if (const Value* v = in.take("lengths")) lengths = read_lengths(c, *v, true);
  rules.lengths = lengths.rules;
  std::optional<ArrivalChoice> arrival;
  if (const Value* v = in.take("arrival")) {
    arrival = read_arrival(c, *v, std::nullopt);
    if (arrival && arrival->process == ArrivalKind::kClosed) {
      in.error("arrival",
               "a closed loop takes lengths from {\"lengths\": {\"trace\": FILE}}, or a trace with \"sessions\": "
               "\"closed\"");
    }
  }
  if (const Value* v = in.take("scale")) {
    read_scale(c, *v, rules);
    if (in.has("arrival")) in.error("scale", "has no meaning where \"arrival\" replaces the times");
  }
  const Value* window_value = in.take("window");
  const TraceWindow window = window_value != nullptr ? read_window(c, *window_value) : TraceWindow{};
  if (const Value* v = in.take("prefixes")) rules.prefixes = read_prefixes(c, *v);
  bool closed = false;
  if (const Value* v = in.take("sessions")) {
    if (v->is_string() && (v->as_string() == "closed" || v->as_string() == "open")) closed = v->as_string() == "closed";
    else
      in.error("sessions", "a trace has sessions of its own: expected \"open\" or \"closed\", got " + to_json(*v, -1));
  }
  in.integer("requests", rules.requests, {1, 1e15});
  in.finish();
  const auto file = name.empty() ? std::nullopt : c.file(in, "trace", name);
  if (!file) c.errors.throw_if_any();
  std::optional<TraceReader> reader;
  try {
    reader.emplace(TraceReader::open(*file, {.arrivals = !arrival, .output = lengths.output}));
  } catch (const ConfigError& e) {
    c.errors.add(e);
  }
  c.errors.throw_if_any();

  const TraceFacts& f = reader->facts();
  if (window.given) {
    const Duration zero = window.clock ? f.day_start : Duration{};
    Duration from = window.from - zero, to = window.to - zero;
    if (window.clock && Time{to} <= f.first) { from += 24h; to += 24h; }   // the next day of the trace
    rules.from = Time{std::max(from, Duration{})};
    rules.to = Time{std::max(to, Duration{})};
  }
  const std::int64_t rows = rows_within(*reader, rules);
  if (rows == 0) in.error("window", "no request of the trace lies in it; the trace covers " + span_of(f, window.clock));
  const bool repeats = arrival && rules.requests > rows;
  if (rules.requests > rows && !arrival && rules.factor <= 1) {
    in.error("requests", "the trace has " + std::to_string(rows) + " requests, got " + std::to_string(rules.requests));
  }
  if (repeats && f.has_sessions)
    in.error("requests", "a trace with sessions (" + std::to_string(rows) + " requests) cannot be repeated");
  if (closed && !(f.has_sessions && f.has_think))
    in.error("sessions", "\"closed\" needs a trace with the columns session and think_s");
  if (closed && arrival) in.error("arrival", "has no meaning for closed sessions");
  c.errors.throw_if_any();

  ResolvedInfo& info = c.info;
  if (arrival && rules.requests < 0) rules.requests = rows;
  const bool resamples = rules.factor != 1 && rules.method == ScaleMethod::kResample;
  info.workload = workload;
  info.shares_prefixes = f.has_sessions || f.has_prefixes || !rules.prefixes.empty();
  info.requests = rules.requests >= 0 || !resamples ? (rules.requests >= 0 ? rules.requests : rows) : -1;
  if (info.requests >= 0) info.workload["requests"] = info.requests;
  info.inputs.push_back({*file, std::string(name_of(f.format)), f.rows, f.content_hash});
  info.tenants = reader->names().tenants.names();
  info.classes = reader->names().classes.names();
  info.models = reader->names().models.names();
  const auto n = static_cast<double>(f.rows);
  info.mean_prompt = static_cast<double>(f.prompt_sum) / n;
  info.mean_output = static_cast<double>(f.output_sum) / n;
  info.longest_prompt = f.longest_prompt;
  info.longest_total = f.longest_total;
  if (const std::int64_t most = rules.lengths.max_total; most > 0) {
    info.longest_prompt = std::min(info.longest_prompt, most - 1);
    info.longest_total = std::min(info.longest_total, most);
  }
  const double span = to_seconds(std::min(rules.to, f.last) - std::max(rules.from, f.first));
  info.rate = arrival ? arrival->rate : span > 0 ? static_cast<double>(rows) * rules.factor / span : 0;
  const bool drawn_limit =
      rules.lengths.max_tokens && rules.lengths.max_tokens->kind() != Distribution::Kind::kConstant;
  info.random =
      (arrival && arrival->process != ArrivalKind::kConstant) || resamples || !rules.prefixes.empty() || drawn_limit;
  info.summary = name + (arrival ? ", " + arrival->label : "") + ", " +
                 (info.requests >= 0 ? std::to_string(info.requests)
                                     : "about " + number_text(std::floor(static_cast<double>(rows) * rules.factor))) +
                 " requests";
  if (repeats) info.notes.push_back("the trace's " + std::to_string(rows) + " rows are used again from the start");
  rules.histories = !closed;
  auto process = arrival ? arrival->make(c.seed) : nullptr;
  TraceSource source(std::move(*reader), std::move(rules), std::move(process), c.seed);
  if (closed) return std::make_unique<ClosedTraceSource>(std::move(source));
  return std::make_unique<TraceSource>(std::move(source));
}

}  // namespace orrery
