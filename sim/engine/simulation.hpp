/// The simulation: requests in, stations, results out. One loop over instants; within an instant the order is fixed:
///
///   1. steps that end, by station and lane      tokens are delivered before anybody decides
///   2. what befalls the cluster                 KV that has come, instances that start or go, then the policy's tick;
///                                               then signals that change, power orders that take effect, telemetry
///   3. clients that give up, by number          after the tokens that came in time, before anything new is planned
///   4. arrivals, by time and number             a call that comes at a boundary is seen by the plan made there;
///                                               who was delayed (by a prediction, a back-off) before who is new
///   5. KV that may come, by station             after all that gives room, before anybody plans with it
///   6. plans, by station and lane
///
/// A call that fails while plans are made may bring a closed-loop request at the same instant; the loop then comes
/// back to that instant. Entities (stations) have one next event each in a tournament tree; arrivals are a sorted
/// stream beside it. Memory follows the calls in flight, not the number of requests.
///
///   Simulation sim(parts);  Outcome out = sim.run();     // once
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

#include "sim/base/min_tree.hpp"
#include "sim/engine/charges.hpp"
#include "sim/engine/cluster.hpp"
#include "sim/engine/outcome.hpp"
#include "sim/engine/power.hpp"
#include "sim/engine/tariff.hpp"
#include "sim/engine/station.hpp"
#include "sim/request.hpp"

namespace orrery {

/// What to do with a prompt longer than the model's context, or than any station can hold.
enum class Oversize : std::uint8_t { kReject, kTruncate, kRefuse };

/// The parts of a run; nothing is owned, all must outlive it.
struct SimulationParts {
  std::vector<StationParts> stations;
  Router* router = nullptr;                       ///< null: the only station
  AdmissionPolicy* admission = nullptr;           ///< null: takes all that fits
  const ClusterParts* cluster = nullptr;          ///< null: a router; else its policy places calls
  const PowerParts* power = nullptr;              ///< null: no power budget
  const TariffParts* tariff = nullptr;            ///< null: constant prices, no carbon
  const ChargeParts* charges = nullptr;           ///< null: requests are not charged what they cost
  const LengthPredictor* predictor = nullptr;     ///< null: none
  RequestSource* source = nullptr;
  Recorder* recorder = nullptr;
  DecisionSink* decisions = nullptr;
  std::vector<Observer*> observers;
  std::vector<ServiceClass> classes;              ///< by Call::request_class, for policies; empty: all alike
  std::vector<ClientRule> clients;                ///< by Call::request_class; empty: all wait for ever
  std::uint64_t seed = 0;
  Tokens max_context = Tokens::max();             ///< prompt + output; longer outputs are cut off at it
  Oversize oversize = Oversize::kReject;
  bool drain = true;                              ///< false: stop at the last arrival
  bool fast_forward = true, verify_fast_forward = false;
  const std::atomic<bool>* interrupt = nullptr;   ///< polled about every 1,000 events
  std::function<void(Time now, std::int64_t arrived)> progress;   ///< as often; may be empty
};

/// A request that cannot be served, where the config says to refuse such input.
struct RequestRefused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Simulation final : private LeaveListener, private ClusterHost, private MeterHost {
 public:
  explicit Simulation(SimulationParts parts);
  ~Simulation() override;
  Outcome run();

 private:
  struct Delayed {                ///< comes to be routed: after a prediction, or for another attempt
    Time ready;
    std::uint64_t number;
    CallId id;
    friend bool operator>(const Delayed& a, const Delayed& b) {
      return a.ready != b.ready ? a.ready > b.ready : a.number > b.number;
    }
  };
  struct Patience {               ///< its client gives up: all of it, or this attempt
    Time end;
    std::uint64_t number;
    Status why;
    CallId id;
    friend bool operator>(const Patience& a, const Patience& b) {
      if (a.end != b.end) return a.end > b.end;
      return a.number != b.number ? a.number > b.number : a.why > b.why;
    }
  };

  Time next_instant();
  bool one_goes_on(Time now);
  void instant(Time now);
  Time next_of_clients();
  Time next_of_cluster(Time t);
  void deliver_arrivals(Time now);
  void deliver_impatience(Time now);
  void arrive(Request& request, Time now);
  bool fits_context(Request& request);
  void submit(CallId id, Time at);
  Duration predicted(CallId id);
  void route(CallId id, Time now);
  void remember(CallId id, const Request& request);
  bool tries_again(CallId id, Status status) const;
  void try_again(CallId id, const Row& attempt, Time now);
  void leave_unserved(CallId id, Status status, Time now, bool for_good = true);
  void leave_between(CallId id, Tokens undone, Status status, Time now);
  void leave(CallId id, const Row& row, Time now);
  void write(CallId id, const Row& row);
  void run_cluster(Time now);
  Time next_of_meters() const;
  void run_meters(Time now);
  void tell_prices(Time now);
  void settle_touched(Time now);
  void plan_touched(Time now);
  void settle_and_plan(Time now);
  void touch(std::size_t station) {
    if (is_touched_[station]) return;
    is_touched_[station] = 1;
    touched_.push_back(station);
  }
  void snapshot(Time now);
  void left(CallId id, const Row& row, Time now) override;
  Station& station(StationId s) override { return *stations_[static_cast<std::size_t>(s.index)]; }
  void touch(StationId s) override { touch(static_cast<std::size_t>(s.index)); }
  bool fits(CallId id, StationId to, Time now) override;
  bool admits(CallId id, StationId to, Time now) override;
  void send(CallId id, StationId to, Time now) override;
  const PrefixView* prefix(StationId s) const override { return prefixes_[static_cast<std::size_t>(s.index)]; }
  void reject(CallId id, Time now) override { leave_unserved(id, Status::kRejected, now, false); }
  Duration present(StationId s, Time now) const override { return cluster_ ? cluster_->paid(s, now) : now - Time{}; }
  Rng rng(Purpose purpose, std::uint64_t number) const override { return Rng(parts_.seed, purpose, number); }
  Outcome finish();
  StationResult result_of(std::size_t station) const;
  void check_nobody_waits_forever() const;

  SimulationParts parts_;
  RunContext run_;
  std::vector<StationLoad> loads_, seen_;         ///< live, and as the router sees them
  std::vector<std::unique_ptr<Station>> stations_;
  std::vector<const PrefixView*> prefixes_;
  std::unique_ptr<ClusterEngine> cluster_;        ///< null: none
  int empty_ticks_ = 0;                           ///< in a row, with nothing else to happen
  Meter meter_;
  std::unique_ptr<PowerEngine> power_;            ///< null: no power budget
  std::unique_ptr<Tariff> tariff_;                ///< null: no signals
  std::unique_ptr<Charges> charges_;              ///< null: requests are not charged
  MinTree events_;
  std::vector<std::size_t> touched_;              ///< stations with work in this instant
  std::vector<std::size_t> planning_;             ///< scratch
  std::vector<std::uint8_t> is_touched_;
  std::priority_queue<Delayed, std::vector<Delayed>, std::greater<>> delayed_;
  std::priority_queue<Patience, std::vector<Patience>, std::greater<>> patience_;
  Duration staleness_{};
  Time next_snapshot_{};
  Time now_{}, next_arrival_{};                   ///< the latter: what the source's peek() says
  std::uint64_t routed_ = 0, route_hash_ = 0;
  Request arriving_;                              ///< scratch
  bool keeps_paths_ = false, wants_done_ = false, interrupted_ = false;
  bool only_stations_ = false;                    ///< nothing but stations, arrivals and clients makes an instant
  std::int64_t arrived_ = 0, left_ = 0, instants_ = 0, cut_ = 0;
};

}  // namespace orrery
