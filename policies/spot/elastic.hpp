/// What SpotServe and its baselines do alike: pools are shapes of one model over the same nodes, a controller chooses
/// among them by devices and load, and requests wait in one queue until a pipeline has room in its batch.
#pragma once

#include <vector>

#include "policies/spot/parallelization.hpp"
#include "sim/cluster.hpp"
#include "sim/config/describe.hpp"

namespace orrery {

struct ElasticConfig {
  Tokens prompt_tokens = 512_tok, output_tokens = 128_tok;   ///< of the requests that latencies are reckoned for
  double rate = 0;                                           ///< requests a second to carry; 0: as measured
  Duration window = std::chrono::seconds(30);                ///< over which it is measured
};
void describe(Describer&, ElasticConfig&);

class Elastic : public ClusterPolicy {
 public:
  explicit Elastic(const ElasticConfig& config) : config_(config) {}
  Placement route(CallId, Cluster&, Rng) override;
  Duration tick() const override { return config_.rate > 0 ? Duration{} : config_.window; }
  void on_tick(Cluster&) override;

 protected:
  /// Pools and latencies, the first time that it is asked.
  const std::vector<PipelineShape>& shapes(const Cluster&);
  /// The best layout for so many devices, under the load that there is.
  Choice choose(const Cluster&, int devices);
  double rate() const { return config_.rate > 0 ? config_.rate : measured_; }
  /// Is there room for one more call in its batch?
  bool has_room(const Instance&, const Cluster&) const;
  /// Calls that will come to it and are counted nowhere yet.
  virtual std::int64_t reserved(StationId, const Cluster&) const { return 0; }

  /// Where a call without KV goes; invalid if it has to wait.
  virtual StationId place(const Cluster&) const;
  /// Where a committed call goes on.
  virtual StationId place_committed(CallId, const Cluster& c) { return place(c); }
  /// The measured rate is known anew.
  virtual void on_rate(Cluster&) {}

 private:
  void count(const Call&, Time now);

  ElasticConfig config_;
  std::vector<PipelineShape> shapes_;
  std::vector<Duration> latencies_;
  std::int64_t arrived_ = 0;
  std::uint64_t next_number_ = 0;
  Time window_start_{};
  double measured_ = 0;
};

/// Devices of the nodes that are up and not announced.
int devices_up(const Cluster&);
bool stands_on_any(StationId, std::span<const std::int32_t> nodes, const Cluster&);

}  // namespace orrery
