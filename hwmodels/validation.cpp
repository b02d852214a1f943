#include "hwmodels/validation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

constexpr const char* kKey = "validated";

std::string short_number(double x) {
  char out[32];
  std::snprintf(out, sizeof out, "%.2g", x);
  return out;
}

Value to_value(const ValidationRecord& r) {
  Value v = Value::object();
  for (const auto& [key, text] : {std::pair{"date", &r.date}, std::pair{"machine", &r.machine},
                                  std::pair{"backend", &r.backend}, std::pair{"model", &r.model},
                                  std::pair{"cost", &r.cost}, std::pair{"subject", &r.subject}}) {
    v[key] = *text;
  }
  v["cells"] = Value::array();
  for (const ValidationRecord::Cell& c : r.cells) {
    Value one = Value::object();
    one["batching"] = c.batching;
    one["load"] = c.load;
    one["error_percent"] = Value::object();
    for (const auto& [metric, percent] : c.errors) one["error_percent"][metric] = percent;
    v["cells"].push_back(std::move(one));
  }
  return v;
}

ValidationRecord record_from(const Value& v) {
  ValidationRecord r;
  r.date = v.at("date").as_string();
  r.machine = v.at("machine").as_string();
  r.backend = v.at("backend").as_string();
  r.model = v.at("model").as_string();
  r.cost = v.at("cost").as_string();
  r.subject = v.at("subject").as_string();
  for (const Value& c : v.at("cells").items()) {
    ValidationRecord::Cell cell{c.at("batching").as_string(), c.at("load").as_double(), {}};
    for (const Value::Member& m : c.at("error_percent").members())
      cell.errors.emplace_back(m.first, m.second.as_double());
    r.cells.push_back(std::move(cell));
  }
  if (r.cells.empty()) throw ConfigError(v.at("cells").where() + ": a record without comparisons");
  return r;
}

}  // namespace

std::string ValidationRecord::text() const {
  std::vector<std::string> policies;
  std::vector<std::pair<std::string, double>> worst;
  double low = cells.front().load, high = low;
  for (const Cell& c : cells) {
    if (std::find(policies.begin(), policies.end(), c.batching) == policies.end()) policies.push_back(c.batching);
    low = std::min(low, c.load);
    high = std::max(high, c.load);
    for (const auto& [metric, percent] : c.errors) {
      const auto found =
          std::find_if(worst.begin(), worst.end(), [&, m = metric](const auto& w) { return w.first == m; });
      if (found == worst.end()) worst.emplace_back(metric, std::abs(percent));
      else found->second = std::max(found->second, std::abs(percent));
    }
  }
  std::string out = "passed " + date + " on " + machine + ", executor " + backend + ": ";
  for (std::size_t i = 0; i < policies.size(); ++i) out += (i > 0 ? ", " : "") + policies[i];
  out += " at load " + short_number(low) + (high > low ? " to " + short_number(high) : "") + ";";
  for (std::size_t i = 0; i < worst.size(); ++i)
    out += (i > 0 ? ", " : " ") + worst[i].first + " within " + short_number(worst[i].second) + " %";
  return out;
}

std::string subject_of(const Value& file) {
  Value without = file;
  without.erase(kKey);
  std::uint64_t hash = 0;
  for (const char c : to_json(without, -1)) hash = hash_combine(hash, static_cast<unsigned char>(c));
  char out[32];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash));
  return out;
}

void add_record(Value& file, ValidationRecord record) {
  constexpr double kSameLoad = 0.05;
  Value kept = Value::array();
  if (const Value* before = file.find(kKey)) {
    for (const Value& v : before->items()) {
      if (v.at("subject").as_string() != record.subject) continue;
      const ValidationRecord old = record_from(v);
      if (old.model != record.model || old.cost != record.cost) {
        kept.push_back(v);
      } else if (old.backend == record.backend && old.machine == record.machine) {
        const std::size_t fresh = record.cells.size();
        for (const ValidationRecord::Cell& c : old.cells) {
          const auto again =
              std::any_of(record.cells.begin(), record.cells.begin() + static_cast<std::ptrdiff_t>(fresh),
                          [&](const ValidationRecord::Cell& n) {
                            return n.batching == c.batching && std::abs(n.load - c.load) < kSameLoad;
                          });
          if (!again) record.cells.push_back(c);
        }
      }
    }
  }
  kept.push_back(to_value(record));
  file[kKey] = std::move(kept);
}

std::vector<ValidationRecord> records_from_json(const Value& file, bool& stale) {
  std::vector<ValidationRecord> out;
  stale = false;
  const Value* list = file.find(kKey);
  if (list == nullptr) return out;
  const std::string subject = subject_of(file);
  for (const Value& v : list->items()) {
    ValidationRecord r = record_from(v);
    if (r.subject == subject) out.push_back(std::move(r));
    else stale = true;
  }
  return out;
}

}  // namespace orrery
