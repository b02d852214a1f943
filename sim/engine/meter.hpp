/// What stations have spent so far, at any instant: the recorder's sums and the part of the steps under way, so that a
/// reading is the same whether a run of iterations is one event or many.
///
///   Wide e = meter.energy(station, now);     // femtojoules since the start, idle power included
///
/// O(lanes) a reading, plus finding the iteration under way.
#pragma once

#include "sim/engine/station.hpp"

namespace orrery {

/// What meters ask of the simulation.
class MeterHost {
 public:
  virtual ~MeterHost() = default;
  virtual Station& station(StationId) = 0;
  virtual void touch(StationId) = 0;                             ///< it plans at the end of this instant
  virtual Duration present(StationId, Time now) const = 0;       ///< how long it has been there
};

class Meter {
 public:
  Meter(const Recorder& recorder, MeterHost& host) : recorder_(&recorder), host_(&host) {}
  Wide energy(StationId s, Time now) const {
    const Station::Spent ahead = host_->station(s).under_way(now);
    return recorder_->energy(s, host_->present(s, now), ahead.energy, ahead.busy);
  }
  /// The same as the result of the run will have it: without steps that have not ended.
  Wide told(StationId s, Time now) const { return recorder_->energy(s, host_->present(s, now), 0, 0); }
  Duration present(StationId s, Time now) const { return host_->present(s, now); }
  MeterHost& host() const { return *host_; }

 private:
  const Recorder* recorder_;
  MeterHost* host_;
};

}  // namespace orrery
