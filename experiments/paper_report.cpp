#include <algorithm>
#include <tuple>
#include <cstdio>
#include <limits>
#include <ostream>

#include "experiments/paper.hpp"
#include "experiments/run.hpp"
#include "policies/register.hpp"
#include "sim/config/names.hpp"
#include "sim/registry.hpp"

namespace orrery {
namespace {

std::string figure(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", x);
  return text;
}

std::string band_text(const PaperBand& b) {
  constexpr double kOpen = std::numeric_limits<double>::infinity();
  if (b.low == -kOpen) return "<= " + figure(b.high);
  if (b.high == kOpen) return ">= " + figure(b.low);
  return figure(b.low) + ".." + figure(b.high);
}

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& s : list) out += (out.empty() ? "" : ", ") + s;
  return out;
}

/// "holds", with what a reader must not overlook.
std::string verdict_text(const PaperResult& r, std::size_t i) {
  const PaperOutcome& o = r.checks[i];
  if (!r.missing.empty()) return "needs-data";
  std::string out(name(o.verdict));
  if (o.verdict != r.experiment->checks[i].expect)
    out += " (stated: " + std::string(name(r.experiment->checks[i].expect)) + ")";
  if (!o.control_leaves) out += ", control inside the band";
  return out;
}

bool answered(const PaperResult& r, std::size_t i) {
  return r.missing.empty() && r.checks[i].verdict != Verdict::kNeedsGpu;
}

/// No figure depends on the machine, so none of the time it took goes here.
void table(const std::vector<PaperResult>& results, std::string& out) {
  out += "| systems | experiment | what | paper's value (place) | band | ours | control | verdict |\n";
  out += "|---|---|---|---|---|---|---|---|\n";
  for (const PaperResult& r : results) {
    const PaperExperiment& e = *r.experiment;
    for (std::size_t i = 0; i < e.checks.size(); ++i) {
      const PaperCheck& c = e.checks[i];
      const bool ran = answered(r, i);
      out += "| " + joined(e.systems) + " | [" + e.name + "](../experiments/papers/" + e.name + ".json) | " + c.what +
             " | " + c.value + " (" + c.place + ") | " + band_text(c.band) + " | " +
             (ran ? figure(r.checks[i].ours) : "") + " | " + (ran ? figure(r.checks[i].control) : "") + " | " +
             verdict_text(r, i) + " |\n";
    }
  }
}

/// Where a policy is written: one file each in its family's folder, named as it is registered but for one.
std::string source_of(std::string_view family, std::string_view name) {
  std::string file(name == "static" ? "static_batching" : name);
  std::replace(file.begin(), file.end(), '-', '_');
  return "policies/" + std::string(family) + "/" + file + ".hpp";
}

template <class Interface>
void policies_of(const Registry& registry, const std::vector<PaperResult>& results, std::string& out) {
  const std::string slot(slot_name<Interface>());
  for (const auto& p : registry.entries<Interface>()) {
    const std::string file = source_of(p.family, p.name);
    std::string experiments;
    for (const PaperResult& r : results) {
      const auto& s = r.experiment->systems;
      const bool names_it = slot == "batching" || slot == "order" || slot == "admission" || slot == "cluster" ||
                            slot == "power";
      if (names_it && std::find(s.begin(), s.end(), p.name) != s.end()) {
        experiments += (experiments.empty() ? "" : ", ") + r.experiment->name;
      }
    }
    out += "| " + slot + " | `" + p.name + "` | " + p.system + " | [" + file + "](../" + file + ") | " + experiments +
           " |\n";
  }
}

void engine_systems(const std::vector<PaperResult>& results, std::string& out) {
  for (const EngineSystem& s : kEngineSystems) {
    std::string experiments;
    for (const PaperResult& r : results) {
      const auto& named = r.experiment->systems;
      if (std::find(named.begin(), named.end(), s.name) != named.end())
        experiments += (experiments.empty() ? "" : ", ") + r.experiment->name;
    }
    out += "| engine | `" + std::string(s.key) + "` | " + std::string(s.paper) +
           " | [hwmodels/variants.hpp](../hwmodels/variants.hpp) | " + experiments + " |\n";
  }
}

std::string needing_a_gpu(const std::vector<PaperResult>& results) {
  std::string out;
  for (const PaperResult& r : results) {
    for (const PaperCheck& c : r.experiment->checks) {
      if (c.expect == Verdict::kNeedsGpu) out += "- **" + r.experiment->name + ", " + c.what + "**: " + c.notes + "\n";
    }
  }
  return out;
}

std::string differing(const std::vector<PaperResult>& results) {
  std::string out;
  for (const PaperResult& r : results) {
    for (const PaperCheck& c : r.experiment->checks) {
      if (c.expect == Verdict::kDiffers) out += "- **" + r.experiment->name + ", " + c.what + "**: " + c.notes + "\n";
    }
  }
  return out;
}

}  // namespace

std::string paper_text(const std::vector<PaperResult>& results) {
  std::string out;
  for (const PaperResult& r : results) {
    const PaperExperiment& e = *r.experiment;
    out += e.name + ": " + e.title + " [" + e.paper + "]" +
           (r.missing.empty() ? "" : ", needs " + r.missing + "; instead: " + e.twin) + "\n";
    for (std::size_t i = 0; i < e.checks.size(); ++i) {
      const PaperCheck& c = e.checks[i];
      out += "  " + c.what + ": paper " + c.value + ", band " + band_text(c.band);
      if (answered(r, i)) out += ", ours " + figure(r.checks[i].ours) + ", control " + figure(r.checks[i].control);
      out += ": " + verdict_text(r, i) + "\n";
    }
    for (std::size_t i = 0; i < r.columns.size(); ++i)
      out += "  " + e.columns[i].what + ": " + figure(r.columns[i]) + "\n";
    if (r.missing.empty()) out += "  " + figure(r.seconds) + " s\n";
  }
  return out;
}

Value paper_json(const std::vector<PaperResult>& results) {
  constexpr double kOpen = std::numeric_limits<double>::infinity();
  Value list = Value::array();
  for (const PaperResult& r : results) {
    const PaperExperiment& e = *r.experiment;
    Value v = Value::object();
    v["experiment"] = e.name;
    v["paper"] = e.paper;
    v["title"] = e.title;
    for (const std::string& s : e.systems) v["system"].push_back(s);
    v["seconds"] = r.seconds;
    if (!r.missing.empty()) v["missing"] = r.missing;
    for (std::size_t i = 0; i < e.checks.size(); ++i) {
      const PaperCheck& c = e.checks[i];
      Value row = Value::object();
      row["what"] = c.what;
      row["place"] = c.place;
      row["paper"] = c.value;
      row["band"].push_back(c.band.low == -kOpen ? Value() : Value(c.band.low));
      row["band"].push_back(c.band.high == kOpen ? Value() : Value(c.band.high));
      if (answered(r, i)) {
        row["ours"] = r.checks[i].ours;
        row["control"] = r.checks[i].control;
        row["control_leaves_band"] = r.checks[i].control_leaves;
      }
      row["verdict"] = name(r.missing.empty() ? r.checks[i].verdict : Verdict::kNeedsData);
      row["stated"] = name(c.expect);
      if (!c.notes.empty()) row["notes"] = c.notes;
      v["checks"].push_back(std::move(row));
    }
    for (std::size_t i = 0; i < r.columns.size(); ++i) v["columns"][e.columns[i].what] = r.columns[i];
    list.push_back(std::move(v));
  }
  return list;
}

std::string paper_markdown(const std::vector<PaperResult>& results) {
  const Registry& registry = shipped_policies();
  std::string out =
      "# Systems\n\nGenerated by `orrery paper all --markdown`; do not edit. Every policy of this version, where it is "
      "written, and what the\n"
      "experiments of `experiments/papers/` say about the headline of its paper. `control` is the same measure with "
      "the\n"
      "policy replaced by its baseline: it must leave the band. `differs` is said where our figure is outside the "
      "band.\n\n"
      "## Policies\n\n| slot | name | system | file | experiments |\n|---|---|---|---|---|\n";
  policies_of<Batcher>(registry, results, out);
  policies_of<QueueOrder>(registry, results, out);
  policies_of<LengthPredictor>(registry, results, out);
  policies_of<KvPolicy>(registry, results, out);
  policies_of<Router>(registry, results, out);
  policies_of<AdmissionPolicy>(registry, results, out);
  policies_of<PowerPolicy>(registry, results, out);
  policies_of<ClusterPolicy>(registry, results, out);
  policies_of<ScalingRule>(registry, results, out);
  engine_systems(results, out);
  out += "\n## Experiments\n\n";
  table(results, out);
  const std::string notes = differing(results);
  if (!notes.empty()) out += "\n## Where we differ, and what was tried\n\n" + notes;
  const std::string gpu = needing_a_gpu(results);
  if (!gpu.empty()) out += "\n## What only a GPU can answer\n\n" + gpu;
  return out;
}

namespace {

/// Those built in, or the one of a file.
std::vector<PaperExperiment> papers_for(const std::string& name) {
  if (!name.ends_with(".json")) return shipped_papers();
  ErrorList errors;
  std::vector<PaperExperiment> one{read_paper(name, parse_json_file(name), errors)};
  errors.throw_if_any();
  return one;
}

}  // namespace

int paper_verb(const PaperOptions& options, std::ostream& out, std::ostream& err) {
  const std::vector<PaperExperiment> all = papers_for(options.name);
  std::vector<std::string> names;
  for (const PaperExperiment& e : all) names.push_back(e.name);
  if (options.name.empty()) {
    for (const PaperExperiment& e : all) {
      out << e.name << ": " << e.title << " [" << e.paper << "]" << (e.heavy ? " (heavy)" : "") << '\n';
    }
    return kExitDone;
  }
  if (options.name != "all" && std::find(names.begin(), names.end(), options.name) == names.end()) {
    throw ConfigError(unknown_name("experiment", options.name, names));
  }
  std::vector<PaperResult> results;
  for (const PaperExperiment& e : all) {
    const bool wanted = options.name == "all" ? options.heavy || !e.heavy : options.name == e.name;
    if (!wanted) continue;
    results.push_back(run_paper(e));
    if (!options.json && !options.markdown) out << paper_text({results.back()}) << std::flush;
  }
  if (options.json) out << to_json(paper_json(results)) << '\n';
  if (options.markdown) out << paper_markdown(results);
  const bool stated = std::all_of(results.begin(), results.end(), [](const PaperResult& r) { return r.as_stated(); });
  if (!stated) err << "orrery: an experiment says other than its file states\n";
  return stated ? kExitDone : kExitMissed;
}

}  // namespace orrery
