/// VTC, the Virtual Token Counter (Sheng et al., OSDI'24, Algorithm 2; slora/server/router/vtc_req_queue.py of the
/// artifact): fair sharing of a continuously batched server between tenants.
/// Each tenant has a counter of the service it got, over its weight. Whoever has the smallest goes next; a prompt is
/// charged when it is admitted, an output token when it is delivered. A tenant that comes back after having had nothing
/// in the queue is lifted to the smallest counter of those who have, so that credit is not saved up. Nobody is
/// preempted.
///
/// It is a queue order, not a batcher: every batcher of this program can serve in it. "Repeat: the tenant with the
/// smallest counter, its head, charge it" is the order of virtual start times: a waiting call's key is its tenant's
/// counter plus what is charged for the tenant's calls before it. Counters are of one replica; keys cost O(waiting) a
/// plan, and while calls wait the engine steps.
/// Bound (Theorem 4.4): between two tenants that are backlogged, |W_f - W_g| <= 2 max(w_p L_in, w_q M) with M tokens of
/// KV.
///
/// Defaults: w_p = 1, w_q = 2. `lift: false` is the least-counter-first baseline (LCF). `charge_predicted` charges the
/// predicted output at admission and corrects it by what comes (VTC with length prediction; with the predictor `oracle`
/// its oracle). Weights are the classes' (/classes/*/weight).
/// Modelled: counters, lift, weights, both ways to charge. Not modelled: the profiled cost function (h(x, y) of section
/// 4.2); the artifact's own predictor (moving average of a tenant's last outputs). A call that was thrown out for
/// memory comes back before all others and is not charged again, but for the tokens that it then delivers after its
/// first.
///
///   {"order": {"name": "vtc", "charge_predicted": true}, "predictor": "oracle"}
#pragma once

#include <cstdint>
#include <vector>

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct VtcConfig {
  double input_weight = 1, output_weight = 2;
  bool lift = true, charge_predicted = false;
};
void describe(Describer&, VtcConfig&);

class Vtc : public QueueOrder {
 public:
  using Config = VtcConfig;
  explicit Vtc(VtcConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;
  bool dynamic() const override { return true; }
  void rank(const StationView&, std::span<std::int64_t> keys) const override;
  void on_start(std::span<const ServiceClass>) override;
  bool wants_events() const override { return true; }
  void on_event(const CallEvent&) override;
  void on_steps(std::int64_t iterations, const GroupView&) override;

  static constexpr std::int64_t kUnit = 1 << 20;   ///< counter units of one input token at weights 1
  std::int64_t counter(std::uint16_t tenant) const { return tenant < tenants_.size() ? tenants_[tenant].counter : 0; }

 private:
  struct Tenant {
    std::int64_t counter = 0;
    std::int32_t waiting = 0;      ///< calls that were never admitted
  };
  struct Known {                   ///< a call, by slot
    std::uint16_t tenant = 0;
    bool waiting = false, charged = false;
    std::int64_t each = 0;         ///< units an output token
    std::int64_t paid = 0, got = 0;///< output tokens charged in advance; delivered
  };
  struct Price {
    std::int64_t input, output;    ///< units a token
  };
  Price price(const Call& call) const;
  std::int64_t admission(const Call& call) const;
  void make_room(const CallEvent&);
  void arrive(const CallEvent& e);
  void deliver(Known& call, std::int64_t tokens);

  VtcConfig config_;
  std::vector<double> weights_;    ///< by class; empty: 1
  std::vector<Tenant> tenants_;
  std::vector<Known> calls_;
  mutable std::vector<std::int64_t> starts_;   ///< scratch: virtual start of each tenant's next call
};

}  // namespace orrery
