#include "experiments/summary/sections.hpp"

namespace orrery::summary {

Value strings(const std::vector<std::string>& list) {
  Value out = Value::array();
  for (const std::string& s : list) out.push_back(s);
  return out;
}

Value trust(const Summary& s, const DeploymentFacts& d) {
  Value v = Value::object();
  v["error"] = d.error;
  v["calibrated_time_fraction"] = s.calibrated_time_fraction;
  v["grade"] = name(s.grade);
  v["validated"] = d.validated;
  v["real_engine_check"] = d.executor == "model" ? d.real_engine_check
                                                 : "this is a real engine: executor " + d.executor + ", " + d.clock;
  Value& by_grade = v["time_by_grade_s"];
  for (std::size_t g = 0; g < s.time_by_grade_s.size(); ++g)
    by_grade[name(static_cast<Grade>(g))] = s.time_by_grade_s[g];
  return v;
}

Value provenance_of(const RunResult& r) {
  Value v = Value::object();
  v["version"] = ORRERY_VERSION;
  v["command"] = r.command;
  v["config"] = r.config_path;
  v["inputs"] = Value::array();
  for (const InputFact& i : r.inputs) {
    Value input = Value::object();
    input["role"] = i.role;
    input["name"] = i.name;
    input["from"] = i.place;
    if (!i.hash.empty()) input["hash"] = i.hash;
    v["inputs"].push_back(std::move(input));
  }
  v["hardware_models"] = Value::array();
  v["hardware_models"].push_back(r.deployment.cost);
  v["plugins"] = strings(r.plugins);
  v["deployment"] = strings(r.deployment.provenance);
  return v;
}

Value deployment_of(const DeploymentFacts& d) {
  Value v = Value::object();
  v["model"] = d.model;
  v["dtype"] = d.dtype;
  v["hardware"] = d.hardware;
  v["cost_model"] = d.cost;
  v["executor"] = d.executor;
  if (!d.clock.empty()) v["clock"] = d.clock;
  v["replicas"] = d.replicas;
  v["tp"] = d.tp;
  v["pp"] = d.pp;
  v["gpus"] = d.gpus();
  v["weight_bytes_per_gpu"] = d.weight_bytes_per_gpu;
  v["kv_bytes_per_token"] = d.kv_bytes_per_token;
  if (d.max_context > 0) v["max_context"] = d.max_context;
  v["engine"] = d.engine.empty() ? "none" : d.engine;
  v["host_terms_of"] = d.host_engine;
  v["host"] = d.host_source;
  return v;
}

Value simulator_of(const RunResult& r) {
  std::int64_t events = 0, steps = 0, iterations = 0;
  double simulated = 0;
  for (const auto* part : {&r.replications, &r.resamples, &r.perturbed}) {
    for (const Replication& one : *part) {
      events += one.outcome.events;
      steps += one.outcome.summary.steps;
      iterations += one.outcome.iterations;
      simulated += one.outcome.summary.duration_s;
    }
  }
  Value v = Value::object();
  v["wall_s"] = r.simulator.wall_s;
  v["cpu_s"] = r.simulator.cpu_s;
  v["events"] = events;
  v["steps"] = steps;   // as the engine took them: fewer where several iterations are one
  v["iterations"] = iterations;
  v["peak_rss_bytes"] = r.simulator.peak_rss_bytes;
  v["speed_over_real_time"] = r.simulator.wall_s > 0 ? simulated / r.simulator.wall_s : 0.0;
  return v;
}

}  // namespace orrery::summary
