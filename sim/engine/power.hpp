/// Rows of servers with a power budget: telemetry samples of a row's power, a policy that looks at them
/// (sim/power.hpp), and its orders, carried out after the row's delays.
///
///   PowerParts parts;  parts.domains.push_back({.name = "row", .members = ..., .budget_mw = ..., .policy = &polca});
///
/// A server is a station. It draws what its devices do, by the meter, and what the rest of it does: `base_mw` while it
/// is there, and `per_mille` of its devices' power (fans, power supplies). A sample is the mean since the last one. Its
/// energy is a difference of readings, so the samples of a row add up to the meter's energy exactly (identities.hpp).
///
/// Samples are read at multiples of `telemetry`, after steps that end then and orders that take effect then, and before
/// anything is planned. They do not cut runs of iterations; a change of clock does, at the next boundary. They keep no
/// run alive. O(servers) a sample.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/engine/cluster.hpp"
#include "sim/engine/meter.hpp"
#include "sim/engine/outcome.hpp"
#include "sim/power.hpp"
#include "sim/signal.hpp"

namespace orrery {

/// What runs and prices steps at a clock. Not owned.
struct ClockParts {
  int megahertz = 0;                   ///< 0: full speed
  Executor* executor = nullptr;
  const CostModel* cost = nullptr;
};

struct PowerMember {
  StationId station;
  ServerPriority priority = ServerPriority::kHigh;
  std::int64_t base_mw = 0, per_mille = 0;
  std::vector<ClockParts> clocks;      ///< full speed first, then all that the policy may order
};

struct PowerDomainParts {
  std::string name;
  std::vector<PowerMember> members;
  std::int64_t budget_mw = 0;
  Duration telemetry = 2s, cap_delay = 40s, brake_delay = 5s;
  Duration rises_from{};               ///< rises before this time do not count: a row that fills up
  PowerPolicy* policy = nullptr;
  const StepSignal* others = nullptr;  ///< milliwatts that count in the row and are drawn by what is not simulated
};

struct PowerParts {
  std::vector<PowerDomainParts> domains;
  ActionSink* actions = nullptr;
};

/// The largest rise of samples within a span of time. O(1) a sample, amortised.
class LargestRise {
 public:
  explicit LargestRise(Duration span) : span_(span) {}
  void add(Time now, std::int64_t value);
  std::int64_t value() const { return most_; }

 private:
  struct Sample {
    Time at;
    std::int64_t value;
  };
  Duration span_;
  std::deque<Sample> rising_;          ///< samples of the span, each lower than all later ones
  std::int64_t most_ = 0;
};

class PowerDomain final : public PowerControl {
 public:
  PowerDomain(PowerDomainParts parts, const Meter& meter, ActionSink* actions);
  Time next() const { return orders_.empty() ? sample_ : std::min(sample_, next_order()); }
  void run(Time now);
  void on_step(std::size_t member, std::int64_t milliwatts);
  PowerResult finish(Time end);
  const PowerDomainParts& parts() const { return parts_; }
  RunEnd::Row row(Time end) const;     ///< for the identities
  std::uint64_t hash() const { return hash_; }

  void set_clock(ServerPriority, int megahertz) override;
  int ordered(ServerPriority p) const override { return ordered_[static_cast<std::size_t>(p)]; }
  int in_force(ServerPriority p) const override { return in_force_[static_cast<std::size_t>(p)]; }
  void brake(bool on) override;
  bool braking() const override { return brake_ordered_ || brake_on_; }

 private:
  struct Order {
    Time at;
    enum Kind : std::uint8_t { kClock, kBrake, kRelease } kind;
    ServerPriority priority = ServerPriority::kHigh;
    int megahertz = 0;
  };
  Time next_order() const;
  Wide energy(Time now, bool told) const;
  Wide rest(const PowerMember& m, Wide devices, Time now) const;
  void carry_out(const Order& o);
  void apply();
  void sample(Time now);
  void act(std::string_view what, std::int64_t value, std::optional<Duration> estimate = {});

  PowerDomainParts parts_;
  const Meter* meter_;
  ActionSink* actions_;
  Time now_{}, sample_{}, sampled_{};
  std::vector<Order> orders_;          ///< as they were given
  int ordered_[2] = {}, in_force_[2] = {};
  std::vector<int> clock_;             ///< of each member, in force
  bool brake_ordered_ = false, brake_on_ = false, was_braked_ = false;
  Wide energy_ = 0, sampled_sum_ = 0;  ///< fJ: at the last sample; of all samples
  std::int64_t peak_ = 0, server_peak_ = 0;
  LargestRise rise_5s_{5s}, rise_40s_{40s};
  std::int64_t samples_ = 0, brakes_ = 0, caps_ = 0;
  Duration capped_{}, braked_{};
  Time capped_since_{}, braked_since_{};
  std::uint64_t hash_ = 0;
};

class PowerEngine final : public StepListener {
 public:
  PowerEngine(const PowerParts& parts, const Meter& meter, std::size_t stations);
  Time next() const;
  void run(Time now);
  void on_step(StationId station, const StepRun& run, std::int64_t k) override;
  std::vector<PowerResult> finish(Time end);
  std::vector<RunEnd::Row> rows(Time end) const;
  std::uint64_t hash() const;

 private:
  struct Place { std::int32_t domain = -1, member = -1; };
  std::vector<PowerDomain> domains_;
  std::vector<Place> place_;           ///< by station
};

}  // namespace orrery
