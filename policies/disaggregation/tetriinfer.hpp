/// TetriInfer: prefill and decode instances with virtual roles under a two-level scheduler (Hu et al., arXiv
/// 2401.11181). A new call goes to the prefill instance with the least prompt work. There, scheduling batches of 16
/// calls are ordered by their prompts and computed in chunks of 512 tokens, without any decoding. A prompt that is done
/// is dispatched by what the monitor last broadcast: of the decode instances with free KV for its predicted length (the
/// lower bound of its bucket), two at random, and of the two the one with the smaller share of heavy decodes once the
/// call is there; if none has room, two of all. The decode instance admits what comes
///   greedy           if there is room for its KV and one more token, as vLLM does,
///   reserve-static   if its predicted use is free now,
///   reserve-dynamic  if there is room, and still is when the shortest remaining call will have ended.
/// Instances of the role mixed do both, a baseline. An instance that was idle for a minute, not the last of its role,
/// takes the other role if that has work.
///
/// Defaults: monitor 100 ms, heavy decode above 128 tokens, idle 60 s, reserve-dynamic, batches of 16 (the paper's
/// sections 3.2 to 3.5 as quoted by a reference document).
/// Chunks: batching "sarathi" with token_budget 512, which mixes nothing where nothing decodes. Predictor: {"name":
/// "bucket", "width": 200, "accuracy": 0.749}.
/// Modelled: both levels, staleness, prediction error, admission, role flips, KV sent request by request.
/// Not modelled: padding of the last chunk, the predictor's share of the device, the milliseconds a flip takes. A
/// scheduling batch is 16 consecutive arrivals at an instance, not what waits when the batch before it is done.
///
///   "policy": {"cluster": {"name": "tetriinfer", "admission": "reserve-dynamic"},
///              "order": {"name": "tetriinfer", "by": "sjf"}, "batching": {"name": "sarathi", "token_budget": 512},
///              "predictor": {"name": "bucket", "width": 200, "accuracy": 0.749}}
#pragma once

#include <vector>

#include "sim/cluster.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct TetriInferConfig {
  enum class Admission : std::uint8_t { kGreedy, kReserveStatic, kReserveDynamic };
  Admission admission = Admission::kReserveDynamic;
  Tokens heavy_decode = 128_tok;    ///< predicted output above this
  Duration staleness = std::chrono::milliseconds(100);
  Duration flip_after = std::chrono::seconds(60);   ///< zero: never
};
void describe(Describer&, TetriInferConfig&);

class TetriInfer final : public ClusterPolicy {
 public:
  using Config = TetriInferConfig;
  explicit TetriInfer(TetriInferConfig config) : config_(config) {}
  Placement route(CallId, Cluster&, Rng) override;
  StationId decode_at(CallId, StationId at, const Cluster&, Rng) override;
  /// O(calls that decode there, n log n) under reserve-dynamic, else O(1).
  bool accepts_by_progress() const override {
    return config_.admission == TetriInferConfig::Admission::kReserveDynamic;
  }
  bool accepts(CallId, StationId to, Tokens context, const Cluster&) const override;
  Duration tick() const override { return config_.staleness; }
  void on_tick(Cluster&) override;
  void on_idle(StationId, Cluster&) override;
  bool random() const override { return true; }

 private:
  /// What the monitor broadcasts of a decode instance.
  struct Seen {
    Tokens free;
    std::int64_t heavy = 0, light = 0;   ///< calls that decode there
  };
  Seen look(StationId, const Cluster&) const;
  bool heavy(const Call& call) const { return Tokens{call.predicted_low} > config_.heavy_decode; }
  void flip_idle(Cluster&);

  TetriInferConfig config_;
  std::vector<Seen> seen_;
  std::vector<Time> idle_since_;
};

/// The local scheduler of a prefill instance, as a queue order.
struct TetriInferOrderConfig {
  enum class By : std::uint8_t { kFcfs, kSjf, kLjf } by = By::kSjf;
  std::int64_t batch = 16;
};
void describe(Describer&, TetriInferOrderConfig&);

class TetriInferOrder final : public QueueOrder {
 public:
  using Config = TetriInferOrderConfig;
  explicit TetriInferOrder(TetriInferOrderConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;
  bool wants_events() const override { return true; }
  void on_event(const CallEvent& e) override { arrived_ += e.kind == CallEvent::kArrived ? 1 : 0; }

 private:
  TetriInferOrderConfig config_;
  std::int64_t arrived_ = 0;   ///< at this instance
};

}  // namespace orrery
