#include "experiments/paper.hpp"

#include <algorithm>
#include <limits>

#include "experiments/document.hpp"
#include "policies/register.hpp"
#include "sim/config/names.hpp"
#include "sim/registry.hpp"

namespace orrery {
namespace {

std::vector<std::string> names_of_configs(const PaperExperiment& e) {
  std::vector<std::string> names;
  for (const auto& c : e.configs) names.push_back(c.first);
  return names;
}

PaperBand read_band(ObjectReader& in, const Value* v) {
  constexpr double kOpen = std::numeric_limits<double>::infinity();
  PaperBand band{-kOpen, kOpen};
  if (v == nullptr) return band;
  if (!v->is_array() || v->items().size() != 2) {
    in.error("band", "expected [low, high], null for an open end");
    return band;
  }
  const Value &low = v->items()[0], &high = v->items()[1];
  const auto end = [](const Value& x) { return x.is_number() || x.is_null(); };
  if (!end(low) || !end(high) || (low.is_null() && high.is_null())) {
    in.error("band", "expected [low, high], null for an open end");
    return band;
  }
  if (!low.is_null()) band.low = low.as_double();
  if (!high.is_null()) band.high = high.as_double();
  if (band.low > band.high) in.error("band", "low is above high");
  return band;
}

PaperExpression read_expression(ObjectReader& in, std::string_view key, const std::vector<std::string>& configs) {
  std::string text;
  in.require(key);
  if (!in.string(key, text)) return {};
  try {
    return PaperExpression::parse(text, configs);
  } catch (const ConfigError& e) {
    in.error(key, e.what());
  }
  return {};
}

PaperCheck read_check(const Value& v, const PaperExperiment& e, ErrorList& errors) {
  ObjectReader in(v, errors);
  PaperCheck c;
  for (const char* key : {"what", "place", "value", "band", "expect"}) in.require(key);
  in.string("what", c.what);
  in.string("place", c.place);
  in.string("value", c.value);
  in.string("notes", c.notes);
  c.band = read_band(in, in.take("band"));
  const auto configs = names_of_configs(e);
  int expect = 0;
  in.choice("expect", expect,
            {{"holds", static_cast<int>(Verdict::kHolds)},
             {"differs", static_cast<int>(Verdict::kDiffers)},
             {"needs-gpu", static_cast<int>(Verdict::kNeedsGpu)}});
  c.expect = static_cast<Verdict>(expect);
  if (c.expect == Verdict::kNeedsGpu) {
    if (c.notes.empty()) in.error("notes", "a check that needs a GPU says what has run and what has not");
    in.finish();
    return c;
  }
  c.metric = read_expression(in, "metric", configs);
  c.control = read_expression(in, "control", configs);
  if (c.expect == Verdict::kDiffers && c.notes.empty())
    in.error("notes", "a check that differs says why and what was tried");
  if ((c.metric.searches() || c.control.searches()) && e.search.high <= e.search.low) {
    in.error("metric", "max_rate needs /search with low below high");
  }
  if ((c.metric.counts() || c.control.counts()) && (e.count.high <= e.count.low || e.count.sets.empty())) {
    in.error("metric", "max_count needs /count with low below high and what it sets");
  }
  in.finish();
  return c;
}

void read_columns(ObjectReader& in, PaperExperiment& e) {
  const Value* list = in.take("columns");
  if (list == nullptr) return;
  if (!list->is_array()) return in.error("columns", "expected an array");
  for (const Value& v : list->items()) {
    ObjectReader r(v, in.errors());
    PaperColumn c;
    r.require("what");
    r.string("what", c.what);
    c.metric = read_expression(r, "metric", names_of_configs(e));
    r.finish();
    e.columns.push_back(std::move(c));
  }
}

void read_configs(ObjectReader& in, PaperExperiment& e) {
  const Value *base = in.require("base"), *configs = in.require("configs");
  if (base != nullptr) e.base = *base;
  if (configs == nullptr) return;
  if (!configs->is_object() || configs->members().empty()) {
    in.error("configs", "expected an object of configs by name");
    return;
  }
  for (const Value::Member& m : configs->members()) {
    Value config = merged(e.base, m.second);
    config.anchor("");
    e.configs.emplace_back(m.first, std::move(config));
  }
}

template <class Read>
void section(ObjectReader& in, std::string_view key, Read read) {
  const Value* v = in.take(key);
  if (v == nullptr) return;
  ObjectReader inner(*v, in.errors());
  read(inner);
  inner.finish();
}

/// Limits at the 50th, 90th and 99th percentile.
void read_limits(ObjectReader& in, std::string_view key, std::array<double, 3>& out) {
  const Value* v = in.require(key);
  if (v == nullptr) return;
  const auto positive = [](const Value& x) { return x.is_number() && x.as_double() > 0; };
  if (!v->is_array() || v->items().size() != out.size() || !std::ranges::all_of(v->items(), positive))
    return in.error(key, "expected [p50, p90, p99], each above 0");
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = v->items()[i].as_double();
}

void read_slowdown(ObjectReader& in, PaperExperiment& e) {
  in.require("alone");
  const auto names = names_of_configs(e);
  if (in.string("alone", e.slowdown.alone) && std::ranges::find(names, e.slowdown.alone) == names.end())
    in.error("alone", unknown_name("config", e.slowdown.alone, names));
  read_limits(in, "ttft", e.slowdown.limits[0]);
  read_limits(in, "tpot", e.slowdown.limits[1]);
  read_limits(in, "e2e", e.slowdown.limits[2]);
}

void read_systems(ObjectReader& in, PaperExperiment& e) {
  in.require("system");
  in.strings("system", e.systems);
  std::vector<std::string> known;
  const Registry& all = shipped_policies();
  for (const auto& entry : all.entries<Batcher>()) known.push_back(entry.name);
  for (const auto& entry : all.entries<QueueOrder>()) known.push_back(entry.name);
  for (const auto& entry : all.entries<AdmissionPolicy>()) known.push_back(entry.name);
  for (const auto& entry : all.entries<ClusterPolicy>()) known.push_back(entry.name);
  for (const auto& entry : all.entries<PowerPolicy>()) known.push_back(entry.name);
  for (const EngineSystem& s : kEngineSystems) known.emplace_back(s.name);
  for (const std::string& s : e.systems) {
    if (std::find(known.begin(), known.end(), s) == known.end()) in.error("system", unknown_name("system", s, known));
  }
}

}  // namespace

PaperExperiment read_paper(const std::string& name, const Value& document, ErrorList& errors) {
  ObjectReader in(document, errors);
  PaperExperiment e;
  e.name = name;
  for (const char* key : {"paper", "title"}) in.require(key);
  in.string("paper", e.paper);
  in.string("title", e.title);
  in.string("notes", e.notes);
  in.string("twin", e.twin);
  in.string("twin_of", e.twin_of);
  in.strings("needs", e.needs);
  in.boolean("heavy", e.heavy);
  read_systems(in, e);
  if (!e.needs.empty() && e.twin.empty())
    in.error("twin", "an experiment that needs data names the one that runs without it");
  read_configs(in, e);
  section(in, "sla", [&](ObjectReader& s) {
    s.number("prompt_tokens_per_s", e.sla.prompt_rate, {0, 1e9});
    s.number("output_tokens_per_s", e.sla.output_rate, {0, 1e9});
    s.integer("moving_average", e.sla.moving_average, {0, 1000000});
  });
  section(in, "slowdown", [&](ObjectReader& s) { read_slowdown(s, e); });
  section(in, "search", [&](ObjectReader& s) {
    for (const char* key : {"low", "high"}) s.require(key);
    s.number("low", e.search.low, {1e-4, 1e6});
    s.number("high", e.search.high, {1e-4, 1e6});
    s.number("seconds", e.search.seconds, {1, 1e6});
    s.number("tolerance", e.search.tolerance, {1e-3, 0.5});
  });
  section(in, "count", [&](ObjectReader& s) {
    for (const char* key : {"low", "high"}) s.require(key);
    s.integer("low", e.count.low, {1, 1e6});
    s.integer("high", e.count.high, {1, 1e6});
    const Value* sets = s.require("sets");
    if (sets == nullptr || !sets->is_object()) return;
    for (const Value::Member& m : sets->members()) {
      if (!m.first.starts_with('/') || !m.second.is_number())
        s.errors().add(m.second.pointer(), "expected a pointer into the config and a factor");
      else e.count.sets.emplace_back(m.first, m.second.as_double());
    }
  });
  if (const Value* checks = in.require("checks"); checks != nullptr) {
    if (!checks->is_array() || checks->items().empty()) in.error("checks", "expected an array with at least one check");
    else for (const Value& c : checks->items()) e.checks.push_back(read_check(c, e, errors));
  }
  read_columns(in, e);
  in.finish();
  return e;
}

std::vector<PaperExperiment> shipped_papers() {
  std::vector<PaperExperiment> out;
  std::string all;
  for (const EmbeddedPaper& file : embedded_papers()) {
    ErrorList errors;
    const std::string name(file.name);
    out.push_back(read_paper(name, parse_json(file.text, name + ".json"), errors));
    for (const std::string& line : errors.lines()) all += (all.empty() ? "" : "\n") + name + ".json " + line;
  }
  if (!all.empty()) throw ConfigError(all);
  return out;
}

bool PaperResult::as_stated() const {
  if (!missing.empty()) return true;
  for (std::size_t i = 0; i < checks.size(); ++i) {
    if (checks[i].verdict != experiment->checks[i].expect || !checks[i].control_leaves) return false;
  }
  return true;
}

}  // namespace orrery
