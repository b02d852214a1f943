/// What requests cost: each step's energy, money and carbon, shared by the calls in it.
///
///   SimulationParts parts;   ChargeParts prices{.price = {&a, &a}, .carbon = &grid};   parts.charges = &prices;
///
/// A step is shared by the tokens that it computes: so many parts to a prompt as its chunk has tokens, one part to each
/// call that decodes. Padding is paid for by those who have tokens in the step. What is left is nobody's: idle devices,
/// steps that never ended, and the remainders of divisions, each less than one unit a member of a group.
///
/// A decode group keeps one running sum, what each member has been charged since the start, which a call reads when it
/// joins and when it leaves, as VTC's counters are lifted. What the group spends in between is summed and divided then,
/// so that it does not matter into how many steps a run of iterations is cut. Remainders go to those who are there
/// next.
///
/// Energy of an iteration is spread evenly over it, rounded down, as Station::under_way has it, so carbon is that of
/// the tariff (tariff.hpp). Money is the price of the instance while the step runs; with pipelines, of a stage its
/// part.
///
/// Exact integers, the same with fast-forward on and off. O(1) a step, join and leave, O(1) a chunk, and the changes of
/// signals within a step. 112 bytes a call in flight.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/call.hpp"
#include "sim/cost.hpp"
#include "sim/metrics/row.hpp"
#include "sim/metrics/spend.hpp"
#include "sim/plan.hpp"
#include "sim/signal.hpp"

namespace orrery {

/// Nothing is owned.
struct ChargeParts {
  std::vector<const StepSignal*> price;        ///< by station, 1e-9 USD an hour of it; null: not known; empty: all
  const StepSignal* carbon = nullptr;          ///< micrograms of CO2 a kWh; null: not known
};

/// A stage of a step of a pipeline; energy in nJ.
struct StageTime { Time begin, end; std::int64_t energy; };

class Charges {
 public:
  Charges(ChargeParts parts, std::size_t stations, int lanes);

  /// A request has come; its slot may have been another's.
  void arrived(CallId id);
  /// It starts to decode with a group, or does so no more; before the group's size changes.
  void joins(CallId id, StationId s, int lane);
  void leaves(CallId id, StationId s, int lane);
  /// k iterations have ended, before their members leave and join; `decodes`: the group was in it.
  void on_step(StationId s, int lane, Time start, std::int64_t k, const StepRun& run, bool decodes,
               std::span<const BatchPlan::Chunk> chunks, std::int64_t outputs);
  /// The same for a step of a pipeline.
  void on_step(StationId s, int lane, std::span<const StageTime> stages, bool decodes,
               std::span<const BatchPlan::Chunk> chunks, std::int64_t outputs);
  /// A step for one call alone, `tokens` of its prompt.
  void on_step_for(CallId id, StationId s, Tokens tokens, std::span<const StageTime> stages);
  void on_lost(std::int64_t energy) { lost_ += energy; }
  /// Its row is written: fills in what it was charged.
  void complete(CallId id, Row& row);
  /// After the rows of those in flight.
  ChargeResult finish() const;

 private:
  struct Group {
    Spend pending, each;      ///< not divided yet; what a member since the start has been charged
    std::int64_t size = 0;
  };
  struct Account {
    Spend spent, base;        ///< base: Group::each when it joined
    std::int32_t group = -1;  ///< that it decodes with
  };
  std::size_t group(StationId s, int lane) const {
    return static_cast<std::size_t>(s.index) * static_cast<std::size_t>(lanes_) + static_cast<std::size_t>(lane);
  }
  static void divide(Group& g);
  void share(StationId s, int lane, const Spend& spent, bool decodes, std::span<const BatchPlan::Chunk> chunks);
  Spend of_stages(StationId s, std::span<const StageTime> stages);
  Wide carbon_of(Time start, std::int64_t k, const StepRun& run) const;

  ChargeParts parts_;
  int lanes_;
  std::vector<Group> groups_;             ///< by station and lane
  std::vector<Account> accounts_;         ///< by call slot
  std::vector<Wide> money_rest_;          ///< by station: of divisions by its stages
  std::vector<StationCharge> stations_;
  Spend rows_, unused_;                   ///< of rows; of steps without calls
  std::vector<Spend> by_class_;
  Wide lost_ = 0;
};

}  // namespace orrery
