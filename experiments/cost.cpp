#include <cmath>
#include <fstream>
#include <map>
#include <ostream>

#include "experiments/run.hpp"
#include "experiments/run_config.hpp"
#include "experiments/screen.hpp"
#include "experiments/verbs.hpp"
#include "hwmodels/deployment.hpp"

namespace orrery {
namespace {

using Shapes = std::map<std::string, double>;

/// "m=64" into the map.
void read_setting(const std::string& text, Shapes& set) {
  const std::size_t equals = text.find('=');
  const auto value = equals == std::string::npos ? std::nullopt : parse_number(text.substr(equals + 1));
  if (!value) throw ConfigError("--set " + text + ": expected k=v,... with numbers, for instance m=64,n=6144,k=4096");
  if (!set.emplace(text.substr(0, equals), *value).second) throw ConfigError("--set " + text + ": given twice");
}

std::string shape_text(const Shapes& set) {
  std::string out;
  for (const auto& [key, value] : set) out += (out.empty() ? "" : " ") + key + "=" + format_number(value);
  return out;
}

Value quote_value(const std::string& op, const Shapes& set, const OperatorQuote& q) {
  Value v = Value::object();
  v["op"] = op;
  for (const auto& [key, value] : set) v[key] = value;
  v["seconds"] = q.seconds;
  if (q.high_seconds > 0) {
    v["low_s"] = q.low_seconds;
    v["high_s"] = q.high_seconds;
  }
  v["flops_per_s"] = q.flops_per_s;
  v["bytes_per_s"] = q.bytes_per_s;
  v["grade"] = name(q.grade);
  v["in_fitted_range"] = q.in_range;
  return v;
}

std::string quote_text(const Hardware& h, const std::string& op, const Shapes& set, const OperatorQuote& q) {
  std::string out = op + " " + shape_text(set) + " on " + h.name + ": " + seconds_text(q.seconds);
  if (q.high_seconds > 0) out += " [" + seconds_text(q.low_seconds) + ", " + seconds_text(q.high_seconds) + "]";
  if (q.flops_per_s > 0) out += " | " + significant(q.flops_per_s * 1e-12, 3) + " TFLOP/s";
  if (q.bytes_per_s > 0) out += " | " + significant(q.bytes_per_s * 1e-9, 3) + " GB/s";
  out += " | " + std::string(name(q.grade)) + (q.in_range ? ", inside the fitted range" : ", OUTSIDE the fitted range");
  return out + (q.high_seconds > 0 ? "\ninterval: 90 % of the held-out shapes" : "\ninterval: not known");
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields{""};
  for (const char c : line) {
    if (c == ',') fields.emplace_back();
    else if (c != '\r') fields.back() += c;
  }
  return fields;
}

/// One line in, one line out: the shape, then seconds,low_s,high_s,flops_per_s,grade,in_fitted_range.
void predict(const Hardware& h, const CostOptions& o, std::ostream& out) {
  std::ifstream in(o.predict);
  std::string line;
  if (!in || !std::getline(in, line)) throw ConfigError(o.predict + ": cannot read a header line");
  const std::vector<std::string> header = split(line);
  ErrorList errors;
  std::string rows;
  for (int number = 2; std::getline(in, line); ++number) {
    if (line.empty() || line == "\r") continue;
    const std::vector<std::string> fields = split(line);
    try {
      if (fields.size() != header.size()) {
        throw ConfigError("expected " + std::to_string(header.size()) + " fields, got " +
                          std::to_string(fields.size()));
      }
      std::string op = o.op;
      Shapes set;
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (header[i] == "op") op = fields[i];
        else if (!fields[i].empty()) read_setting(header[i] + "=" + fields[i], set);
      }
      if (op.empty()) throw ConfigError("no operator: give --op, or a column op");
      const OperatorQuote q = quote(h, op, set);
      for (const std::string& f : fields) rows += f + ",";
      rows += format_number(q.seconds) + "," + (q.high_seconds > 0 ? format_number(q.low_seconds) : "") + "," +
              (q.high_seconds > 0 ? format_number(q.high_seconds) : "") + "," + format_number(q.flops_per_s) + "," +
              std::string(name(q.grade)) + "," + (q.in_range ? "1" : "0") + "\n";
    } catch (const ConfigError& e) { errors.add(o.predict + ":" + std::to_string(number), e.what()); }
  }
  errors.throw_if_any();
  for (const std::string& key : header) out << key << ',';
  out << "seconds,low_s,high_s,flops_per_s,grade,in_fitted_range\n" << rows;
}

}  // namespace

int cost_verb(const CostOptions& o, std::ostream& out) {
  if (o.crossovers) throw ConfigError("cost --crossovers: not available in this version");
  const Hardware h = load_hardware(o.hardware, search_path_for({Value::object(), {}, "."}).folders);
  if (!o.predict.empty()) {
    predict(h, o, out);
    return kExitDone;
  }
  if (o.op.empty()) throw ConfigError("cost: give --op OP --set k=v,..., or --predict SHAPES.csv");
  Shapes set;
  for (const std::string& s : o.sets) read_setting(s, set);
  const OperatorQuote q = quote(h, o.op, set);
  if (o.json) out << to_json(quote_value(o.op, set, q)) << '\n';
  else out << quote_text(h, o.op, set, q) << '\n';
  return kExitDone;
}

}  // namespace orrery
