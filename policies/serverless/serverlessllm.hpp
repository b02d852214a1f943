/// ServerlessLLM: loads go where they are over first, and running calls make room by live migration (Fu et al.,
/// OSDI'24, sections 5 and 6).
///
/// For each call whose model is not there, the start-up time on each server is estimated: the load (weight_store.hpp),
/// and, where no device is free, what it costs to clear one: the cheapest set of instances (cheapest_set.hpp), each of
/// which costs the load of its model on the best other server and resume = alpha * tokens + beta. An instance that is
/// only kept alive costs nothing. The least sum is taken. A call moves by its tokens once its model is loaded elsewhere
/// (Move::kLiveTokens): the destination computes their KV while the source goes on, in rounds, until at most 20 tokens
/// are left (ClusterParts::tokens_last); then the source's device gets the new model.
///
/// Defaults: alpha 0.01 s a token, beta 0.1 s (authors' repository, migration estimator); the rest in serverless.hpp.
/// Modelled: estimator, queues, migration, keep-alive. Not modelled: limits of disk space, models larger than a server;
/// an instance with several calls (concurrency > 1) is not cleared.
///
///   "cluster": {"pools": [{"name": "gpus", "replicas": 16, "serving": 0}],
///               "nodes": [{"count": 4, "gpus": 4, "dram": {"size": "128GB", "bandwidth": "20GB/s"},
///                          "ssd": {"bandwidth": "12GB/s"}, "network": {"bandwidth": "1.25GB/s"}}]},
///   "policy": {"cluster": {"name": "serverlessllm"}}, "workload": {"models": {"count": 32, "zipf": 1}, ...}
#pragma once

#include "policies/serverless/serverless.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct ServerlessLlmConfig {
  ServerlessConfig common;
  Duration alpha{10ms};       ///< to resume a call elsewhere, a token
  Duration beta{100ms};       ///< and once
};
void describe(Describer&, ServerlessLlmConfig&);

class ServerlessLlm final : public Serverless {
 public:
  using Config = ServerlessLlmConfig;
  explicit ServerlessLlm(ServerlessLlmConfig config) : Serverless(config.common, Cache::kDram), config_(config) {}
  /// What it takes to resume a call with so many tokens elsewhere.
  Duration resume_time(Tokens tokens) const { return config_.alpha * tokens.value() + config_.beta; }

 protected:
  bool place_load(CallId, Cluster&) override;
  void on_round(Cluster&) override;
  void on_serving(StationId, Cluster&) override;

 private:
  struct Victim {
    StationId at, to;          ///< `to`: where its model is loaded; invalid: it has no call
    Duration cost{};
  };
  struct Option {
    Duration time = Duration::max();
    StationId station;
    std::vector<Victim> victims;   ///< empty: the station is free
  };
  struct Migration {
    StationId from, to;
    std::uint64_t call;        ///< number
  };
  Option on_server(std::int32_t server, std::int32_t model, const Cluster&) const;
  std::vector<Victim> clearable(std::int32_t server, const Cluster&) const;
  void move_away(const Victim&, Cluster&);
  bool try_to_move(const Migration&, Cluster&) const;

  ServerlessLlmConfig config_;
  std::vector<Migration> migrations_;   ///< not under way yet
};

}  // namespace orrery
