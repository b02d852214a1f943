#include "traces/workload/parts.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
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

/// A `workload` with a trace, as it stands.
struct TraceChoice {
  std::string name;
  TraceRules rules;
  LengthChoice lengths;
  std::optional<ArrivalChoice> arrival;   ///< in place of the trace's times
  TraceWindow window;
  bool closed = false;                    ///< sessions wait for their answers
};

void read_times(WorkloadContext& c, ObjectReader& in, TraceChoice& t) {
  if (const Value* v = in.take("arrival")) {
    t.arrival = read_arrival(c, *v, std::nullopt);
    if (t.arrival && t.arrival->process == ArrivalKind::kClosed) {
      in.error("arrival",
               "a closed loop takes lengths from {\"lengths\": {\"trace\": FILE}}, or a trace with \"sessions\": "
               "\"closed\"");
    }
  }
  if (const Value* v = in.take("scale")) {
    read_scale(c, *v, t.rules);
    if (in.has("arrival")) in.error("scale", "has no meaning where \"arrival\" replaces the times");
  }
  if (const Value* v = in.take("window")) t.window = read_window(c, *v);
}

TraceChoice read_trace_choice(WorkloadContext& c, ObjectReader& in) {
  TraceChoice t;
  in.string("trace", t.name);
  if (in.take("tenants") != nullptr) in.error("tenants", "a trace has tenants of its own (column tenant)");
  if (in.take("models") != nullptr) in.error("models", "a trace has models of its own (column model)");
  if (const Value* v = in.take("lengths")) t.lengths = read_lengths(c, *v, true);
  t.rules.lengths = t.lengths.rules;
  read_times(c, in, t);
  if (const Value* v = in.take("prefixes")) t.rules.prefixes = read_prefixes(c, *v);
  if (const Value* v = in.take("sessions")) {
    if (v->is_string() && (v->as_string() == "closed" || v->as_string() == "open"))
      t.closed = v->as_string() == "closed";
    else
      in.error("sessions", "a trace has sessions of its own: expected \"open\" or \"closed\", got " + to_json(*v, -1));
  }
  in.integer("requests", t.rules.requests, {1, 1e15});
  in.finish();
  return t;
}

/// The part of the trace that its window names.
void set_window(TraceChoice& t, const TraceFacts& f) {
  if (!t.window.given) return;
  const Duration zero = t.window.clock ? f.day_start : Duration{};
  Duration from = t.window.from - zero, to = t.window.to - zero;
  if (t.window.clock && Time{to} <= f.first) { from += 24h; to += 24h; }   // the next day of the trace
  t.rules.from = Time{std::max(from, Duration{})};
  t.rules.to = Time{std::max(to, Duration{})};
}

void check_rows(const TraceChoice& t, const TraceFacts& f, std::int64_t rows, ObjectReader& in) {
  if (rows == 0)
    in.error("window", "no request of the trace lies in it; the trace covers " + span_of(f, t.window.clock));
  if (t.rules.requests > rows && !t.arrival && t.rules.factor <= 1) {
    in.error("requests",
             "the trace has " + std::to_string(rows) + " requests, got " + std::to_string(t.rules.requests));
  }
  if (t.arrival && t.rules.requests > rows && f.has_sessions)
    in.error("requests", "a trace with sessions (" + std::to_string(rows) + " requests) cannot be repeated");
  if (t.closed && !(f.has_sessions && f.has_think))
    in.error("sessions", "\"closed\" needs a trace with the columns session and think_s");
  if (t.closed && t.arrival) in.error("arrival", "has no meaning for closed sessions");
}

void tell_lengths(const TraceChoice& t, const TraceFacts& f, ResolvedInfo& info) {
  const auto n = static_cast<double>(f.rows);
  info.mean_prompt = static_cast<double>(f.prompt_sum) / n;
  info.mean_output = static_cast<double>(f.output_sum) / n;
  info.longest_prompt = f.longest_prompt;
  info.longest_total = f.longest_total;
  if (const std::int64_t most = t.rules.lengths.max_total; most > 0) {
    info.longest_prompt = std::min(info.longest_prompt, most - 1);
    info.longest_total = std::min(info.longest_total, most);
  }
}

/// `rows`: inside the window.
void tell_requests(const TraceChoice& t, const TraceFacts& f, std::int64_t rows, ResolvedInfo& info) {
  const TraceRules& rules = t.rules;
  const bool resamples = rules.factor != 1 && rules.method == ScaleMethod::kResample;
  info.shares_prefixes = f.has_sessions || f.has_prefixes || !rules.prefixes.empty();
  info.requests = rules.requests >= 0 || !resamples ? (rules.requests >= 0 ? rules.requests : rows) : -1;
  if (info.requests >= 0) info.workload["requests"] = info.requests;
  const double span = to_seconds(std::min(rules.to, f.last) - std::max(rules.from, f.first));
  info.rate = t.arrival ? t.arrival->rate : span > 0 ? static_cast<double>(rows) * rules.factor / span : 0;
  const bool drawn_limit =
      rules.lengths.max_tokens && rules.lengths.max_tokens->kind() != Distribution::Kind::kConstant;
  info.random = (t.arrival && t.arrival->process != ArrivalKind::kConstant) || resamples || !rules.prefixes.empty() ||
                drawn_limit;
  info.summary = t.name + (t.arrival ? ", " + t.arrival->label : "") + ", " +
                 (info.requests >= 0 ? std::to_string(info.requests)
                                     : "about " + number_text(std::floor(static_cast<double>(rows) * rules.factor))) +
                 " requests";
}

TraceReader open_trace(WorkloadContext& c, ObjectReader& in, const TraceChoice& t) {
  const auto file = t.name.empty() ? std::nullopt : c.file(in, "trace", t.name);
  if (!file) c.errors.throw_if_any();
  std::optional<TraceReader> reader;
  try {
    reader.emplace(TraceReader::open(*file, {.arrivals = !t.arrival, .output = t.lengths.output}));
  } catch (const ConfigError& e) {
    c.errors.add(e);
  }
  c.errors.throw_if_any();
  const TraceFacts& f = reader->facts();
  c.info.inputs.push_back({*file, std::string(name_of(f.format)), f.rows, f.content_hash});
  return std::move(*reader);
}

}  // namespace

std::unique_ptr<RequestSource> trace_workload(WorkloadContext& c, ObjectReader& in, const Value& workload) {
  TraceChoice t = read_trace_choice(c, in);
  TraceReader reader = open_trace(c, in, t);
  const TraceFacts& f = reader.facts();
  set_window(t, f);
  const std::int64_t rows = rows_within(reader, t.rules);
  check_rows(t, f, rows, in);
  c.errors.throw_if_any();

  ResolvedInfo& info = c.info;
  const bool repeats = t.arrival && t.rules.requests > rows;
  if (t.arrival && t.rules.requests < 0) t.rules.requests = rows;
  info.workload = workload;
  info.tenants = reader.names().tenants.names();
  info.classes = reader.names().classes.names();
  info.models = reader.names().models.names();
  tell_lengths(t, f, info);
  tell_requests(t, f, rows, info);
  if (repeats) info.notes.push_back("the trace's " + std::to_string(rows) + " rows are used again from the start");
  t.rules.histories = !t.closed;
  auto process = t.arrival ? t.arrival->make(c.seed) : nullptr;
  TraceSource source(std::move(reader), std::move(t.rules), std::move(process), c.seed);
  if (t.closed) return std::make_unique<ClosedTraceSource>(std::move(source));
  return std::make_unique<TraceSource>(std::move(source));
}

}  // namespace orrery
