#include "traces/make_source.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "sim/base/math.hpp"
#include "sim/config/names.hpp"
#include "sim/config/reader.hpp"
#include "traces/arrival.hpp"
#include "traces/generated_source.hpp"
#include "traces/lengths.hpp"
#include "traces/session_source.hpp"
#include "traces/tenant_source.hpp"
#include "traces/trace_source.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kDefaultRequests = 10'000;
constexpr double kMaxRate = 1e9;

std::string number_text(double x) {
  const bool whole = std::abs(x) < 1e15 && x == std::floor(x);
  return whole ? std::to_string(static_cast<std::int64_t>(x)) : format_number(x);
}

/// What the reading of all parts shares.
struct Context {
  std::uint64_t seed;
  const SearchPath& path;
  ErrorList& errors;
  ResolvedInfo& info;

  std::optional<std::string> file(ObjectReader& in, std::string_view key, std::string_view name) {
    const auto found = path.find(name);
    if (!found) in.error(key, "no file \"" + std::string(name) + "\" in " + path.describe());
    return found;
  }

  /// A distribution: a number or a string; values in SI of `dimension`.
  std::optional<Distribution> distribution(ObjectReader& in, std::string_view key, Dimension dimension) {
    const Value* v = in.take(key);
    if (v == nullptr) return std::nullopt;
    const Distribution::Context how{
        [dimension](std::string_view text) { return parse_quantity(text, dimension); },
        [this](std::string_view name) {
          if (auto found = path.find(name)) return *found;
          throw DistributionError("no file \"" + std::string(name) + "\" in " + path.describe());
        }};
    try {
      if (v->is_number()) return Distribution::parse(number_text(v->as_double()), how);
      if (v->is_string()) return Distribution::parse(v->as_string(), how);
      in.error(key, "expected a number or a distribution like \"lognormal:1155,1.1\"");
    } catch (const DistributionError& e) {
      in.error(key, e.what());
    } catch (const ConfigError& e) {
      in.error(key, e.what());
    }
    return std::nullopt;
  }

  /// One whose draws count tokens, turns or the like: a fixed value below 1 is a mistake.
  std::optional<Distribution> counts(ObjectReader& in, std::string_view key, double most, std::string_view unit) {
    auto d = distribution(in, key, Dimension::kNumber);
    if (!d) return d;
    const bool fixed = d->kind() == Distribution::Kind::kConstant || d->kind() == Distribution::Kind::kUniform;
    const double low = fixed ? d->min() : d->mean();
    const double high = fixed || d->kind() == Distribution::Kind::kEmpirical ? d->max() : d->mean();
    if (low < 1 || high > most) {
      in.error(key, "expected 1 to " + number_text(most) + " " + std::string(unit) + ", got " + number_text(low < 1 ? low : high));
      return std::nullopt;
    }
    return d;
  }

  /// One whose draws are waits.
  std::optional<Distribution> waits(ObjectReader& in, std::string_view key) {
    auto d = distribution(in, key, Dimension::kSeconds);
    if (d && (d->mean() < 0 || d->mean() > static_cast<double>(kMaxTraceSeconds))) {
      in.error(key, "expected 0 to 9000000 s, got " + number_text(d->mean()) + " s");
      return std::nullopt;
    }
    return d;
  }
};

// ---- lengths: a model's name | {"name" | "prompt"+"output" | "trace", "max_tokens", "max_total"} --------------------

struct LengthChoice {
  std::shared_ptr<const LengthModel> model;      ///< null: those of the trace
  std::optional<WorkloadModel> fitted;
  LengthRules rules;
  std::int64_t output = 0;                       ///< of a trace that has none
  std::string label;
};

void take_model(Context& c, std::string_view name, const std::string& pointer, LengthChoice& out) {
  try {
    out.fitted = find_workload_model(name, c.path);
    out.model = std::make_shared<ModelLengths>(*out.fitted);
    out.label = std::string(name);
  } catch (const ConfigError& e) {
    c.errors.add(pointer, e.what());
  }
}

void take_pairs(Context& c, ObjectReader& in, const std::string& name, LengthChoice& out) {
  const auto file = c.file(in, "trace", name);
  if (!file) return;
  try {
    TraceReader reader = TraceReader::open(*file, {.arrivals = false, .output = 0});
    std::vector<std::pair<std::int32_t, std::int32_t>> rows;
    rows.reserve(static_cast<std::size_t>(reader.facts().rows));
    while (const TraceRow* row = reader.next()) {
      rows.emplace_back(row->request.prompt_tokens.value(), row->request.output_tokens.value());
    }
    c.info.inputs.push_back({*file, std::string(name_of(reader.facts().format)), reader.facts().rows, reader.facts().content_hash});
    c.info.longest_prompt = reader.facts().longest_prompt;
    c.info.longest_total = reader.facts().longest_total;
    out.model = std::make_shared<PairLengths>(std::move(rows));
    out.label = "lengths of " + name;
  } catch (const ConfigError& e) {
    c.errors.add(e);
  }
}

void take_length_rules(Context& c, ObjectReader& in, LengthRules& rules) {
  std::string word;
  if (const Value* v = in.take("max_tokens"); v != nullptr && !(v->is_string() && v->as_string() == "exact")) {
    rules.max_tokens = c.counts(in, "max_tokens", static_cast<double>(kMaxRequestTokens), "tokens");
  }
  in.integer("max_total", rules.max_total, {2, static_cast<double>(kMaxRequestTokens)}, "tokens");
}

LengthChoice read_lengths(Context& c, const Value& v, bool beside_trace) {
  LengthChoice out;
  if (v.is_string()) {
    if (beside_trace) c.errors.add(v.pointer(), "the trace has lengths of its own; only max_tokens and max_total go with it");
    else take_model(c, v.as_string(), v.pointer(), out);
    return out;
  }
  ObjectReader in(v, c.errors);
  if (!v.is_object()) return out;
  std::string name;
  const bool pairs = in.has("trace"), named = in.has("name");
  const bool drawn = in.has("prompt") || (in.has("output") && !beside_trace);
  if (beside_trace && !drawn) in.integer("output", out.output, {1, static_cast<double>(kMaxRequestTokens)}, "tokens");
  if (beside_trace && (pairs || named || drawn)) {
    c.errors.add(v.pointer(), "the trace has lengths of its own; only max_tokens and max_total go with it");
  } else if (pairs + named + drawn > 1) {
    c.errors.add(v.pointer(), "expected one of name, trace, or prompt with output");
  } else if (pairs) {
    if (in.string("trace", name)) take_pairs(c, in, name, out);
  } else if (named) {
    if (in.string("name", name)) take_model(c, name, v.pointer() + "/name", out);
  } else if (!beside_trace) {
    const double most = static_cast<double>(kMaxRequestTokens);
    for (const char* key : {"prompt", "output"}) in.require(key);
    auto prompt = c.counts(in, "prompt", most, "tokens"), output = c.counts(in, "output", most, "tokens");
    if (prompt && output) {
      const auto bound = [&](double x) { return std::isfinite(x) ? static_cast<std::int64_t>(x) : 0; };
      c.info.longest_prompt = bound(prompt->max());
      c.info.longest_total = bound(prompt->max() + output->max());
      out.label = "prompt " + (prompt->text().empty() ? number_text(prompt->mean()) : prompt->text()) + ", output " +
                  (output->text().empty() ? number_text(output->mean()) : output->text());
      out.model = std::make_shared<DistributionLengths>(std::move(*prompt), std::move(*output));
    }
  }
  for (const char* key : {"trace", "name", "prompt", "output"}) in.take(key);
  take_length_rules(c, in, out.rules);
  in.finish();
  return out;
}

// ---- arrival: {"process": constant|poisson|gamma|onoff|profile|closed|sinusoid, rate, cv, on, off, profile, ...} ------

enum class Process { kConstant, kPoisson, kGamma, kOnOff, kProfile, kClosed, kSinusoid };

const std::vector<EnumName>& process_names() {
  static const std::vector<EnumName> kNames{{"constant", 0}, {"poisson", 1}, {"gamma", 2}, {"onoff", 3}, {"profile", 4}, {"closed", 5}, {"sinusoid", 6}};
  return kNames;
}

struct ArrivalChoice {
  Process process = Process::kPoisson;
  double rate = 0, cv = 1;
  std::optional<Distribution> on, off, think;
  std::vector<RateStep> profile;
  std::int64_t users = 0;
  double amplitude = 0.5;
  Duration period = 24h;
  std::string label;

  bool rated() const { return process <= Process::kOnOff || process == Process::kSinusoid; }

  std::unique_ptr<ArrivalProcess> make(std::uint64_t seed) const {
    switch (process) {
      case Process::kConstant: return make_constant(rate);
      case Process::kPoisson: return make_poisson(rate, seed);
      case Process::kGamma: return make_gamma(rate, cv, seed);
      case Process::kOnOff: return make_onoff(rate, *on, *off, seed);
      case Process::kProfile: return make_profile(profile, seed);
      case Process::kSinusoid: return make_sinusoid(rate, amplitude, to_seconds(period), seed);
      case Process::kClosed: break;
    }
    return nullptr;
  }
};

/// Keys that belong to other processes are told apart from unknown ones.
void refuse_foreign_keys(ObjectReader& in, Process process, std::string_view name) {
  struct Owner { const char* key; std::vector<Process> processes; };
  static const std::vector<Owner> kOwners{
      {"rate", {Process::kConstant, Process::kPoisson, Process::kGamma, Process::kOnOff, Process::kSinusoid}}, {"cv", {Process::kGamma}},
      {"on", {Process::kOnOff}}, {"off", {Process::kOnOff}}, {"profile", {Process::kProfile}},
      {"users", {Process::kClosed}}, {"think", {Process::kClosed}},
      {"amplitude", {Process::kSinusoid}}, {"period", {Process::kSinusoid}}};
  for (const Owner& owner : kOwners) {
    const bool wanted = std::find(owner.processes.begin(), owner.processes.end(), process) != owner.processes.end();
    if (!wanted && in.take(owner.key) != nullptr) in.error(owner.key, "has no meaning for process \"" + std::string(name) + "\"");
  }
}

std::optional<ArrivalChoice> read_arrival(Context& c, const Value& v, const std::optional<WorkloadModel>& fitted) {
  ArrivalChoice a;
  ObjectReader in(v, c.errors);
  if (!v.is_object()) return std::nullopt;
  const std::size_t before = c.errors.lines().size();
  int process = static_cast<int>(Process::kPoisson);
  if (in.choice("process", process, process_names())) a.process = static_cast<Process>(process);
  const std::string name(process_names()[static_cast<std::size_t>(process)].name);
  const bool rated = a.rated();
  if (rated && !in.number("rate", a.rate, {1e-6, kMaxRate}, Dimension::kPerSecond) && !in.has("rate")) {
    if (fitted && fitted->rate > 0) a.rate = fitted->rate;
    else in.error("rate", "missing key");
  }
  a.label = name + (rated ? " " + number_text(a.rate) + "/s" : "");
  if (a.process == Process::kGamma) {
    a.cv = fitted ? fitted->cv : 0;
    if (!in.number("cv", a.cv, {0.01, 100}) && !in.has("cv") && a.cv == 0) in.error("cv", "missing key");
    a.label += " cv " + number_text(a.cv);
  } else if (a.process == Process::kOnOff) {
    for (const char* key : {"on", "off"}) in.require(key);
    a.on = c.waits(in, "on");
    a.off = c.waits(in, "off");
    if (a.on && !(a.on->mean() > 0)) in.error("on", "must be longer than 0");
  } else if (a.process == Process::kProfile) {
    std::string file;
    in.require("profile");
    if (in.string("profile", file)) {
      if (const auto path = c.file(in, "profile", file)) {
        try {
          a.profile = read_profile(*path);
          c.info.inputs.push_back({*path, "profile", static_cast<std::int64_t>(a.profile.size()), 0});
          double area = 0;
          for (std::size_t i = 0; i + 1 < a.profile.size(); ++i) area += a.profile[i].rate * (a.profile[i + 1].start_s - a.profile[i].start_s);
          a.rate = a.profile.size() > 1 && area > 0 ? area / a.profile.back().start_s : a.profile.back().rate;
        } catch (const ConfigError& e) {
          c.errors.add(e);
        }
      }
    }
    a.label += " " + file;
  } else if (a.process == Process::kSinusoid) {
    in.number("amplitude", a.amplitude, {0, 1});
    in.duration("period", a.period, {1, 9e6});
    a.label += " by a sinusoid of " + number_text(to_seconds(a.period)) + " s";
  } else if (a.process == Process::kClosed) {
    in.require("users");
    in.integer("users", a.users, {1, 1'000'000});
    a.think = c.waits(in, "think");
    if (!a.think) a.think = Distribution::constant(0);
    a.label = std::to_string(a.users) + " users";
  }
  refuse_foreign_keys(in, a.process, name);
  in.finish();
  return c.errors.lines().size() == before ? std::optional(std::move(a)) : std::nullopt;
}

Value resolved(const ArrivalChoice& a) {
  Value v = Value::object();
  v["process"] = std::string(process_names()[static_cast<std::size_t>(a.process)].name);
  if (a.rated()) v["rate"] = a.rate;
  if (a.process == Process::kSinusoid) {
    v["amplitude"] = a.amplitude;
    v["period"] = to_seconds(a.period);
  }
  if (a.process == Process::kGamma) v["cv"] = a.cv;
  if (a.process == Process::kClosed) {
    v["users"] = a.users;
    v["think"] = a.think->text().empty() ? Value(0) : Value(a.think->text());
  }
  return v;
}

// ---- sessions, prefixes, window, scale -----------------------------------------------------------------------------

/// {"turns": D, "think": D, "mode": "closed"|"open"}; each turn draws new prompt tokens and an output from `lengths`.
std::optional<SessionRules> read_sessions(Context& c, const Value& v) {
  SessionRules s;
  ObjectReader in(v, c.errors);
  if (!v.is_object()) return std::nullopt;
  for (const char* key : {"turns", "think"}) in.require(key);
  s.turns = c.counts(in, "turns", 1e6, "turns");
  const auto think = c.waits(in, "think");
  if (think) s.think = *think;
  int mode = 0;
  in.choice("mode", mode, {{"closed", 0}, {"open", 1}});
  s.closed = mode == 0;
  in.finish();
  return s.turns && think ? std::optional(std::move(s)) : std::nullopt;
}

/// [{"tokens": 1800, "share": 0.6}]: of the requests, or of the sessions.
std::vector<DeclaredPrefix> read_prefixes(Context& c, const Value& v) {
  std::vector<DeclaredPrefix> list;
  if (!v.is_array()) {
    c.errors.add(v.pointer(), "expected an array like [{\"tokens\": 1800, \"share\": 0.6}]");
    return list;
  }
  double sum = 0;
  for (const Value& item : v.items()) {
    ObjectReader in(item, c.errors);
    DeclaredPrefix p{0, 0};
    in.require("tokens");
    in.require("share");
    in.integer("tokens", p.tokens, {1, static_cast<double>(kMaxRequestTokens)}, "tokens");
    in.number("share", p.share, {0, 1});
    in.finish();
    sum += p.share;
    list.push_back(p);
  }
  if (sum > 1 + 1e-9) c.errors.add(v.pointer(), "the shares must not exceed 1 together, got " + number_text(sum));
  return list;
}

struct Window { Duration from{}, to{}; bool given = false, clock = false; };

/// "14:00", "14:00:30" as time of day.
std::optional<Duration> clock_time(std::string_view text) {
  const auto two = [&](std::size_t at, int limit) {
    if (at + 2 > text.size() || text[at] < '0' || text[at] > '9' || text[at + 1] < '0' || text[at + 1] > '9') return -1;
    const int n = (text[at] - '0') * 10 + text[at + 1] - '0';
    return n <= limit ? n : -1;
  };
  const bool seconds = text.size() == 8 && text[5] == ':';
  if (!(text.size() == 5 || seconds) || text[2] != ':') return std::nullopt;
  const int h = two(0, 24), m = two(3, 59), s = seconds ? two(6, 59) : 0;
  if (h < 0 || m < 0 || s < 0) return std::nullopt;
  return Duration{std::chrono::seconds{h * 3600 + m * 60 + s}};
}

/// "14:00..15:00" (time of day) or "600..1200", "10min..20min" (since the start of the trace).
Window read_window(Context& c, const Value& v) {
  const std::string text = v.is_string() ? v.as_string() : "";
  const auto dots = text.find("..");
  const auto wrong = [&] {
    c.errors.add(v.pointer(), "expected a window like \"14:00..15:00\" or \"600s..1200s\", got " + to_json(v, -1));
    return Window{};
  };
  if (dots == text.npos) return wrong();
  const std::string from = text.substr(0, dots), to = text.substr(dots + 2);
  Window w;
  const auto a = clock_time(from), b = clock_time(to);
  if (a && b) {
    w = {*a, *b, true, true};
    if (w.to <= w.from) w.to += 24h;   // over midnight
    return w;
  }
  try {
    w = {parse_duration(from), parse_duration(to), true, false};
  } catch (const ConfigError&) {
    return wrong();
  }
  if (w.from < Duration{} || w.to <= w.from) return wrong();
  return w;
}

/// {"factor": 3, "method": "resample"|"speedup"}; "thin" is resample with a factor of at most 1.
void read_scale(Context& c, const Value& v, TraceRules& rules) {
  ObjectReader in(v, c.errors);
  if (!v.is_object()) return;
  in.require("factor");
  in.number("factor", rules.factor, {1e-6, 1e6});
  int method = 0;
  in.choice("method", method, {{"resample", 0}, {"speedup", 1}, {"thin", 2}});
  if (method == 2 && rules.factor > 1) in.error("factor", "thinning keeps a fraction: expected at most 1, got " + number_text(rules.factor));
  rules.method = method == 1 ? ScaleMethod::kSpeedup : ScaleMethod::kResample;
  in.finish();
}

// ---- the two kinds of workload --------------------------------------------------------------------------------------

void check_horizon(Context& c, const ObjectReader& in, std::int64_t requests, double rate) {
  if (rate > 0 && static_cast<double>(requests) / rate > static_cast<double>(kMaxTraceSeconds)) {
    c.errors.add(in.pointer() + "/requests", "at " + number_text(rate) + "/s these last " +
                 number_text(std::floor(static_cast<double>(requests) / rate)) + " s, more than the 9000000 s a run can simulate");
  }
}

std::unique_ptr<RequestSource> generated(Context& c, ObjectReader& in, const Value& workload) {
  for (const char* key : {"scale", "window"}) {
    if (in.take(key) != nullptr) in.error(key, "needs a trace");
  }
  const Value* lengths_value = in.take("lengths");
  if (lengths_value == nullptr) {
    c.errors.add(workload.pointer(), "expected \"lengths\" or \"trace\"");
  }
  LengthChoice lengths = lengths_value == nullptr ? LengthChoice{} : read_lengths(c, *lengths_value, false);
  std::optional<ArrivalChoice> arrival;
  if (const Value* v = in.take("arrival")) {
    arrival = read_arrival(c, *v, lengths.fitted);
  } else if (lengths.fitted && lengths.fitted->rate > 0) {
    arrival = ArrivalChoice{};
    arrival->process = Process::kGamma;
    arrival->rate = lengths.fitted->rate;
    arrival->cv = lengths.fitted->cv;
    arrival->label = "gamma " + number_text(arrival->rate) + "/s cv " + number_text(arrival->cv);
  } else if (lengths.model) {
    in.error("arrival", "missing key");
  }
  std::optional<SessionRules> sessions;
  const Value* sessions_value = in.take("sessions");
  if (sessions_value != nullptr) sessions = read_sessions(c, *sessions_value);
  std::vector<DeclaredPrefix> prefixes;
  if (const Value* v = in.take("prefixes")) prefixes = read_prefixes(c, *v);
  for (const DeclaredPrefix& p : prefixes) {
    if (lengths.rules.max_total > 0 && p.tokens > lengths.rules.max_total - 2) {
      in.error("prefixes", "a prefix of " + std::to_string(p.tokens) + " tokens leaves no room within max_total");
    }
  }
  std::int64_t requests = kDefaultRequests;
  in.integer("requests", requests, {1, 1e15});
  in.finish();
  if (arrival) check_horizon(c, in, requests, arrival->process == Process::kClosed || sessions ? 0 : arrival->rate);
  c.errors.throw_if_any();

  ResolvedInfo& info = c.info;
  DeclaredPrefixes declared(prefixes, c.seed);
  info.workload = workload;
  info.workload["arrival"] = resolved(*arrival);
  if (const Value* given = workload.find("arrival")) {
    for (const auto& [key, value] : given->members()) info.workload["arrival"][key] = value;
  }
  info.workload["requests"] = requests;
  info.requests = requests;
  info.random = true;
  info.rate = arrival->process == Process::kClosed ? 0 : arrival->rate;
  info.mean_prompt = lengths.model->mean_prompt() + declared.mean_tokens();
  info.mean_output = lengths.model->mean_output();
  if (lengths.fitted) {
    info.longest_prompt = lengths.fitted->prompt.max();
    for (const QuantileGrid& g : lengths.fitted->output) info.longest_total = std::max(info.longest_total, info.longest_prompt + g.max());
  }
  std::int64_t longest_prefix = 0;
  for (const DeclaredPrefix& p : prefixes) longest_prefix = std::max(longest_prefix, p.tokens);
  const bool bounded = info.longest_total > 0 && !sessions;
  info.longest_prompt = bounded ? info.longest_prompt + longest_prefix : 0;
  info.longest_total = bounded ? info.longest_total + longest_prefix : 0;
  if (const std::int64_t most = lengths.rules.max_total; most > 0) {
    info.longest_prompt = info.longest_prompt > 0 ? std::min(info.longest_prompt, most - 1) : most - 1;
    info.longest_total = info.longest_total > 0 ? std::min(info.longest_total, most) : most;
  }
  info.summary = lengths.label + ", " + arrival->label + (sessions ? " sessions" : "") + ", " + std::to_string(requests) + " requests";

  std::optional<PrefixReuse> reuse;
  if (lengths.fitted && lengths.fitted->reuse) {
    if (prefixes.empty() && !sessions && arrival->process != Process::kClosed) {
      reuse.emplace(*lengths.fitted->reuse, lengths.fitted->prompt, c.seed);
    } else {
      info.notes.push_back("the shared prefixes of " + lengths.label + " are not generated beside prefixes, sessions or a closed loop");
    }
  }
  Lengths drawn(lengths.model, lengths.rules, c.seed);
  if (arrival->process == Process::kClosed || sessions) {
    SessionRules rules = sessions.value_or(SessionRules{});
    if (arrival->process == Process::kClosed) {
      rules.pause = *arrival->think;
      return std::make_unique<SessionSource>(requests, arrival->users, std::move(rules), std::move(drawn), std::move(declared), c.seed);
    }
    info.notes.push_back("arrival.rate counts sessions, not requests");
    return std::make_unique<SessionSource>(requests, arrival->make(c.seed), std::move(rules), std::move(drawn), std::move(declared), c.seed);
  }
  return std::make_unique<GeneratedSource>(requests, arrival->make(c.seed), std::move(drawn), std::move(declared), std::move(reuse));
}

// ---- tenants: [{"name", "share"}, ...] of one stream, or [{"name", "arrival", "lengths", ...}, ...] ------------------

/// The names, also to `info`; false if there was an error.
bool read_tenant_names(Context& c, const Value& list) {
  const std::size_t before = c.errors.lines().size();
  if (!list.is_array() || list.items().empty() || list.items().size() > 60000) {
    c.errors.add(list.pointer(), "expected an array like [{\"name\": \"web\", \"share\": 0.7}, ...]");
    return false;
  }
  std::vector<std::string> names{""};
  for (const Value& item : list.items()) {
    const Value* name = item.is_object() ? item.find("name") : nullptr;
    const std::string pointer = item.pointer() + (item.is_object() ? "/name" : "");
    if (name == nullptr || !name->is_string() || name->as_string().empty()) c.errors.add(pointer, "a tenant needs a name");
    else if (std::find(names.begin(), names.end(), name->as_string()) != names.end())
      c.errors.add(pointer, "another tenant has this name");
    else names.push_back(name->as_string());
  }
  c.info.tenants = names;
  return c.errors.lines().size() == before;
}

std::vector<double> read_shares(Context& c, const Value& list) {
  std::vector<double> shares;
  double sum = 0;
  for (const Value& item : list.items()) {
    ObjectReader in(item, c.errors);
    double share = 0;
    in.take("name");
    in.require("share");
    in.number("share", share, {0, 1e9});
    in.finish();
    sum += shares.emplace_back(share);
  }
  if (!(sum > 0)) c.errors.add(list.pointer(), "the shares must be more than 0 together");
  return shares;
}

std::unique_ptr<RequestSource> generated(Context& c, ObjectReader& in, const Value& workload);

/// A stream a tenant, each a generated workload of its own with its own random numbers.
std::unique_ptr<RequestSource> tenant_streams(Context& c, ObjectReader& in, const Value& list, const Value& workload) {
  for (const char* key : {"arrival", "lengths", "sessions", "prefixes", "scale", "window"}) {
    if (in.take(key) != nullptr) in.error(key, "has no meaning where each of the tenants has its own arrivals");
  }
  std::int64_t requests = kDefaultRequests;
  in.integer("requests", requests, {1, 1e15});
  in.finish();
  std::vector<std::unique_ptr<RequestSource>> streams;
  ResolvedInfo& info = c.info;
  double prompt = 0, output = 0;
  bool bounded = true;
  for (std::size_t i = 0; i < list.items().size(); ++i) {
    Value own = list.items()[i];
    const std::string name = own.at("name").as_string();
    own.erase("name");
    if (own.find("requests") == nullptr) own["requests"] = requests;
    own.anchor(list.items()[i].pointer());
    ErrorList errors;
    ResolvedInfo part;
    Context stream{hash_combine(c.seed, i + 1), c.path, errors, part};
    ObjectReader reader(own, errors);
    try {
      streams.push_back(generated(stream, reader, own));
    } catch (const ConfigError& e) {
      c.errors.add(e);
      continue;
    }
    info.summary += (info.summary.empty() ? "" : "; ") + name + ": " + part.summary.substr(0, part.summary.rfind(", "));
    info.inputs.insert(info.inputs.end(), part.inputs.begin(), part.inputs.end());
    info.notes.insert(info.notes.end(), part.notes.begin(), part.notes.end());
    info.rate += part.rate;
    const double weight = part.rate > 0 ? part.rate : 1;
    prompt += weight * part.mean_prompt;
    output += weight * part.mean_output;
    bounded = bounded && part.longest_total > 0;
    info.longest_prompt = std::max(info.longest_prompt, part.longest_prompt);
    info.longest_total = std::max(info.longest_total, part.longest_total);
  }
  c.errors.throw_if_any();
  if (!bounded) info.longest_prompt = info.longest_total = 0;
  const double weights = info.rate > 0 ? info.rate : static_cast<double>(streams.size());
  info.mean_prompt = prompt / weights;
  info.mean_output = output / weights;
  info.workload = workload;
  info.workload["requests"] = requests;
  info.requests = requests;
  info.random = true;
  info.summary += ", " + std::to_string(requests) + " requests";
  return std::make_unique<TenantStreams>(std::move(streams), requests);
}

std::unique_ptr<RequestSource> with_tenants(Context& c, ObjectReader& in, const Value& list, const Value& workload) {
  if (!read_tenant_names(c, list)) c.errors.throw_if_any();
  const std::vector<std::string> names = c.info.tenants;
  const bool shared = std::any_of(list.items().begin(), list.items().end(),
                                  [](const Value& t) { return t.find("share") != nullptr; });
  if (!shared) return tenant_streams(c, in, list, workload);
  std::vector<double> shares = read_shares(c, list);
  auto source = generated(c, in, workload);
  c.info.summary += " of " + std::to_string(shares.size()) + " tenants";
  return std::make_unique<DrawnNames>(std::move(source), shares, c.seed, Purpose::kTenant, &Request::tenant);
}

// ---- models: {"count", "zipf"} --------------------------------------------------------------------------------------

/// Model k of n is asked for in proportion to k^-zipf. Their names are m1, m2, ...
std::vector<double> read_models(Context& c, const Value& v) {
  ObjectReader in(v, c.errors);
  std::int64_t count = 1;
  double exponent = 1;
  if (in.require("count") != nullptr) in.integer("count", count, {1, 60000});
  in.number("zipf", exponent, {0, 10});
  in.finish();
  std::vector<double> shares;
  for (std::int64_t k = 1; k <= count; ++k) shares.push_back(fast_pow(static_cast<double>(k), -exponent));
  return shares;
}

std::unique_ptr<RequestSource> with_models(Context& c, std::unique_ptr<RequestSource> source,
                                           const std::vector<double>& shares) {
  for (std::size_t k = 1; k <= shares.size(); ++k) c.info.models.push_back("m" + std::to_string(k));
  c.info.summary += " for " + std::to_string(shares.size()) + " models";
  c.info.random = c.info.random || shares.size() > 1;
  return std::make_unique<DrawnNames>(std::move(source), shares, c.seed, Purpose::kModel, &Request::model);
}

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

std::unique_ptr<RequestSource> from_trace(Context& c, ObjectReader& in, const Value& workload) {
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
    if (arrival && arrival->process == Process::kClosed) {
      in.error("arrival", "a closed loop takes lengths from {\"lengths\": {\"trace\": FILE}}, or a trace with \"sessions\": \"closed\"");
    }
  }
  if (const Value* v = in.take("scale")) {
    read_scale(c, *v, rules);
    if (in.has("arrival")) in.error("scale", "has no meaning where \"arrival\" replaces the times");
  }
  const Value* window_value = in.take("window");
  const Window window = window_value != nullptr ? read_window(c, *window_value) : Window{};
  if (const Value* v = in.take("prefixes")) rules.prefixes = read_prefixes(c, *v);
  bool closed = false;
  if (const Value* v = in.take("sessions")) {
    if (v->is_string() && (v->as_string() == "closed" || v->as_string() == "open")) closed = v->as_string() == "closed";
    else in.error("sessions", "a trace has sessions of its own: expected \"open\" or \"closed\", got " + to_json(*v, -1));
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
  if (repeats && f.has_sessions) in.error("requests", "a trace with sessions (" + std::to_string(rows) + " requests) cannot be repeated");
  if (closed && !(f.has_sessions && f.has_think)) in.error("sessions", "\"closed\" needs a trace with the columns session and think_s");
  if (closed && arrival) in.error("arrival", "has no meaning for closed sessions");
  c.errors.throw_if_any();

  ResolvedInfo& info = c.info;
  if (arrival && rules.requests < 0) rules.requests = rows;
  const bool resamples = rules.factor != 1 && rules.method == ScaleMethod::kResample;
  info.workload = workload;
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
  const bool drawn_limit = rules.lengths.max_tokens && rules.lengths.max_tokens->kind() != Distribution::Kind::kConstant;
  info.random = (arrival && arrival->process != Process::kConstant) || resamples || !rules.prefixes.empty() || drawn_limit;
  info.summary = name + (arrival ? ", " + arrival->label : "") + ", " +
                 (info.requests >= 0 ? std::to_string(info.requests) : "about " + number_text(std::floor(static_cast<double>(rows) * rules.factor))) + " requests";
  if (repeats) info.notes.push_back("the trace's " + std::to_string(rows) + " rows are used again from the start");
  rules.histories = !closed;
  auto process = arrival ? arrival->make(c.seed) : nullptr;
  TraceSource source(std::move(*reader), std::move(rules), std::move(process), c.seed);
  if (closed) return std::make_unique<ClosedTraceSource>(std::move(source));
  return std::make_unique<TraceSource>(std::move(source));
}

}  // namespace

std::unique_ptr<RequestSource> make_source(const Value& workload, std::uint64_t seed, const SearchPath& path, ResolvedInfo& out) {
  ErrorList errors;
  Context context{seed, path, errors, out};
  out = ResolvedInfo{};
  ObjectReader in(workload, errors);
  errors.throw_if_any();
  if (in.has("trace")) return from_trace(context, in, workload);
  const Value *tenants = in.take("tenants"), *models = in.take("models");
  const std::vector<double> shares = models != nullptr ? read_models(context, *models) : std::vector<double>{};
  auto source = tenants != nullptr ? with_tenants(context, in, *tenants, workload) : generated(context, in, workload);
  return models != nullptr ? with_models(context, std::move(source), shares) : std::move(source);
}

}  // namespace orrery
