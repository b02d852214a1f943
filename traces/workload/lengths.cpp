#include "traces/workload/parts.hpp"

#include <cmath>
#include <utility>

#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

void take_model(WorkloadContext& c, std::string_view name, const std::string& pointer, LengthChoice& out) {
  try {
    out.fitted = find_workload_model(name, c.path);
    out.model = std::make_shared<ModelLengths>(*out.fitted);
    out.label = std::string(name);
  } catch (const ConfigError& e) {
    c.errors.add(pointer, e.what());
  }
}

void take_pairs(WorkloadContext& c, ObjectReader& in, const std::string& name, LengthChoice& out) {
  const auto file = c.file(in, "trace", name);
  if (!file) return;
  try {
    TraceReader reader = TraceReader::open(*file, {.arrivals = false, .output = 0});
    std::vector<std::pair<std::int32_t, std::int32_t>> rows;
    rows.reserve(static_cast<std::size_t>(reader.facts().rows));
    while (const TraceRow* row = reader.next()) {
      rows.emplace_back(row->request.prompt_tokens.value(), row->request.output_tokens.value());
    }
    c.info.inputs.push_back(
        {*file, std::string(name_of(reader.facts().format)), reader.facts().rows, reader.facts().content_hash});
    c.info.longest_prompt = reader.facts().longest_prompt;
    c.info.longest_total = reader.facts().longest_total;
    out.model = std::make_shared<PairLengths>(std::move(rows));
    out.label = "lengths of " + name;
  } catch (const ConfigError& e) {
    c.errors.add(e);
  }
}

void take_length_rules(WorkloadContext& c, ObjectReader& in, LengthRules& rules) {
  std::string word;
  if (const Value* v = in.take("max_tokens"); v != nullptr && !(v->is_string() && v->as_string() == "exact")) {
    rules.max_tokens = c.counts(in, "max_tokens", static_cast<double>(kMaxRequestTokens), "tokens");
  }
  in.integer("max_total", rules.max_total, {2, static_cast<double>(kMaxRequestTokens)}, "tokens");
}

}  // namespace

LengthChoice read_lengths(WorkloadContext& c, const Value& v, bool beside_trace) {
  LengthChoice out;
  if (v.is_string()) {
    if (beside_trace)
      c.errors.add(v.pointer(), "the trace has lengths of its own; only max_tokens and max_total go with it");
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

}  // namespace orrery
