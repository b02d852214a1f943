#include "experiments/calibrate.hpp"

#include <filesystem>
#include <ostream>

#include "calibrate/sweep/calibration.hpp"
#include "experiments/run.hpp"
#include "experiments/run_config.hpp"
#include "experiments/whole_file.hpp"

namespace orrery {
namespace {

void check(const CalibrateOptions& o) {
  if (!o.from.empty()) throw ConfigError("--from: not available in this version");
  if (o.out.empty()) throw ConfigError("--out: give the file to write, HW.json");
  if (std::filesystem::path(o.out).extension() != ".json")
    throw ConfigError("--out: expected a name that ends in .json");
}

}  // namespace

int calibrate_verb(const CalibrateOptions& o, std::ostream& out, std::ostream& err) {
  namespace fs = std::filesystem;
  check(o);
  const fs::path file = o.out;
  const std::string samples = (file.parent_path() / file.stem()).string() + ".samples.jsonl";
  Document beside;
  beside.folder = ".";
  const std::string name = !o.model.empty() ? o.model : o.backend == "cuda" ? "llama-3.1-8b" : "llama-tiny";
  const ModelShape model = load_model(name, search_path_for(beside).folders);
  const SweepOptions options = sweep_options(o.backend, model, o.quick);
  const auto backend = make_sweep_backend(o.backend, model, options);
  if (o.force) fs::remove(samples);
  const SweepPlan plan = plan_sweep(model, options);
  Journal journal(samples, sweep_header(plan, model, options, *backend, backend->probe()), plan);
  const std::size_t before = journal.size();
  if (!o.quiet && before > 0) {
    err << "orrery: " << samples << ": " << before << " of " << plan.order.size() << " samples are there already\n";
  }
  std::size_t told = 10 * before / plan.order.size();
  run_sweep(plan, *backend, journal, [&](std::size_t done, std::size_t all) {
    if (o.quiet || 10 * done / all == told) return;
    told = 10 * done / all;
    err << "orrery: calibrate: " << done << " of " << all << " samples" << std::endl;
  });
  const Calibration c = fit_sweep(plan, journal, model, {file.stem().string(), today()});
  write_whole(file, to_json(c.hardware, 1));
  if (o.json) out << to_json(to_value(c.report)) << '\n';
  else if (!o.quiet) out << text(c.report) << "wrote " << o.out << " (measured) and " << samples << '\n';
  return c.report.noisy() ? kExitMissed : kExitDone;
}

}  // namespace orrery
