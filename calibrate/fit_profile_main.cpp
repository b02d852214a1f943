/// orrery_fit_profile PROFILE.json TABLE.csv DATE: fits every entry of a profile whose `table` names a model and a
/// device of splitwise-sim's perf_model.csv, prints the left-out errors and writes the entries.
///
///   orrery_fit_profile hwmodels/profiles/splitwise.json ../shared/data/perf/splitwise/perf_model.csv 2026-11-24
#include <cstdio>
#include <exception>
#include <fstream>

#include "calibrate/fit/profile_fit.hpp"
#include "sim/config/value.hpp"

namespace orrery {
namespace {

double rounded(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", x);
  return std::stod(text);
}

Value pieces(const std::vector<ProfilePiece>& list, const char* unit, const char* extra) {
  Value v = Value::array();
  for (const ProfilePiece& p : list) {
    Value piece = Value::object();
    piece["from"] = p.from;
    piece["base_ms"] = rounded(1e3 * p.base);
    piece[unit] = rounded(1e6 * p.per_unit);
    if (p.per_extra != 0) piece[extra] = rounded(1e9 * p.per_extra);
    v.push_back(std::move(piece));
  }
  return v;
}

void write_entry(const ProfileEntry& e, Value& v) {
  v["prefill"] = pieces(e.prefill, "per_token_us", "per_token2_ns");
  v["decode"] = pieces(e.decode, "per_sequence_us", "per_context_ns");
  v["range"]["tokens"] = Value::array();
  v["range"]["tokens"].push_back(e.tokens_low);
  v["range"]["tokens"].push_back(e.tokens_high);
  v["range"]["sequences"] = e.sequences_high;
  v["left_out_prefill_percent"] = rounded(e.prefill_error);
  v["left_out_decode_percent"] = rounded(e.decode_error);
  if (e.power.prefill.empty()) return;
  Value watts = Value::array();
  for (const auto& [tokens, w] : e.power.prefill) {
    Value point = Value::array();
    point.push_back(tokens);
    point.push_back(rounded(w));
    watts.push_back(std::move(point));
  }
  v["power"]["prefill_w"] = std::move(watts);
  v["power"]["decode_w"] = rounded(e.power.decode_w);
}

void print(const char* phase, const PhaseError& e) {
  std::printf("  %-6s left out MAPE %.1f %%, worst %.1f %% | in sample %.1f %% | repeats differ %.1f %%\n", phase,
              e.left_out_mape, e.left_out_worst, e.mape, e.repeat);
}

void run(const std::string& file, const std::string& table, const std::string& date) {
  Value v = parse_json_file(file);
  const CsvTable rows = read_csv(table);
  Value entries = Value::array();
  for (Value entry : v.at("entries").items()) {
    const std::string model = entry.at("table").items().at(0).as_string(),
                      device = entry.at("table").items().at(1).as_string();
    const int tp = static_cast<int>(entry.at("tp").as_int());
    const Hardware hardware = load_hardware(entry.at("hardware").as_string(), {});
    const double least = least_s_per_token(load_model(entry.at("model").as_string(), {}), hardware, tp);
    const auto steps = published_steps(rows, model, device, tp, least);
    if (steps.empty()) throw ConfigError(table + ": no rows of " + model + " on " + device);
    const std::size_t rejected = published_steps(rows, model, device, tp, 0).size() - steps.size();
    ProfileEntry fit;
    const ProfileError e = fit_entry(steps, hardware.specs.tdp_w, fit);
    std::printf("%s on %s tp %d, %zu rows, %zu rejected\n", model.c_str(), device.c_str(), tp, steps.size(), rejected);
    print("prompt", e.prefill);
    print("token", e.decode);
    write_entry(fit, entry);
    entries.push_back(std::move(entry));
  }
  v["entries"] = std::move(entries);
  v["date"] = date;
  std::ofstream(file) << to_json(v, 1) << "\n";
}

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: orrery_fit_profile PROFILE.json TABLE.csv DATE\n");
    return 1;
  }
  try {
    orrery::run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
