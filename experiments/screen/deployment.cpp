#include "experiments/screen/sections.hpp"

#include "experiments/screen.hpp"
#include "experiments/screen/text.hpp"
#include "experiments/summary.hpp"

namespace orrery::screen {
namespace {

/// "prompt 2 x h100-sxm tp4 prefill | token 3 x h200-sxm tp4 decode"
std::string pools_text(const Value& pools) {
  std::string out;
  for (const Value& p : pools.items())
    out += (out.empty() ? "" : " | ") + p.at("name").as_string() + " " +
           std::to_string(p.at("replicas").as_int()) + " x " + p.at("hardware").as_string() + " tp" +
           std::to_string(p.at("tp").as_int()) + " " + p.at("role").as_string();
  return out;
}

/// What the search for the pools found.
std::string placement_line(const Value& s) {
  const Value* p = find_path(s, "placement");
  if (p == nullptr) return "";
  std::string pools;
  for (const Value& one : p->at("pools").items()) {
    pools += (pools.empty() ? "" : " | ") + std::to_string(one.at("replicas").as_int()) + " x " +
             one.at("name").as_string() + " tp" + std::to_string(one.at("tp").as_int());
    if (one.at("pp").as_int() > 1) pools += " pp" + std::to_string(one.at("pp").as_int());
  }
  return line("placement", p->at("algorithm").as_string() + ": " + pools + " on " + grouped(p->at("gpus").as_int()) +
                               " GPUs | goodput " + significant(p->at("goodput_rps").as_double(), 4) + " req/s, " +
                               significant(p->at("goodput_per_gpu").as_double(), 3) + " per GPU | found by " +
                               grouped(p->at("simulations").as_int()) + " simulations");
}

}  // namespace

std::string deployment_lines(const Value& s) {
  const Value* pools = find_path(s, "pools");
  std::string what = text_at(s, "deployment.model") + " " + text_at(s, "deployment.dtype") + " on ";
  if (pools != nullptr) {
    what += pools_text(*pools) + " | KV peak " + percent(number_at(s, "kv.peak_used_fraction")) + " of an instance, " +
            significant(number_at(s, "cluster.kv_bytes_moved") * 1e-9, 3) + " GB moved, " +
            grouped(count_at(s, "migrations")) + " migrations";
  } else {
    what += std::to_string(count_at(s, "deployment.replicas")) + " x " + text_at(s, "deployment.hardware") + " tp" +
            std::to_string(count_at(s, "deployment.tp"));
    if (count_at(s, "deployment.pp") > 1) what += " pp" + std::to_string(count_at(s, "deployment.pp"));
    what += " | KV " + grouped(count_at(s, "kv.blocks_per_replica")) + " blocks x" +
            std::to_string(count_at(s, "kv.block_tokens")) + " a replica, " +
            short_source(text_at(s, "kv.source"), ":;") + ", peak " + percent(number_at(s, "kv.peak_used_fraction"));
  }
  std::string policy = text_at(s, "policy.batching") + " | queue " + text_at(s, "policy.order") + " | KV " +
                       text_at(s, "policy.kv") +
                       (find_path(s, "policy.cluster") == nullptr ? " | router " + text_at(s, "policy.router")
                                                                  : " | cluster " + text_at(s, "policy.cluster"));
  if (find_path(s, "predictor") != nullptr) {
    policy += " | lengths by " + text_at(s, "predictor.name") +
              (find_path(s, "predictor.oracle")->as_bool() ? " (ORACLE: knows the truth)"
                                                           : ", right " + percent(number_at(s, "predictor.accuracy")));
  }
  std::string engine = text_at(s, "deployment.engine");
  if (engine == "none") engine = "none named, host terms of " + text_at(s, "deployment.host_terms_of");
  std::string workload = text_at(s, "workload.text");
  if (const std::string notes = joined(*find_path(s, "workload.notes"), "; "); !notes.empty())
    workload += " (" + notes + ")";
  const std::string convention = text_at(s, "metrics_convention");
  const std::string metrics = convention == "vllm" ? "" : line("metrics", "as " + convention + " defines them");
  return metrics + line("model", what) + placement_line(s) + line("workload", workload) + line("policy", policy) +
         line("engine", engine + " | " + short_source(text_at(s, "deployment.host"), ""));
}

}  // namespace orrery::screen
