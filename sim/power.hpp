/// Power of a row of servers, on one page: what a power policy sees at each telemetry sample, and what it may order.
///
///   PowerPolicy    clocks of the row's servers by priority, and the brake
///   PowerControl   carries orders out after the row's delays; the engine implements it (engine/power.hpp)
///
/// Power is in milliwatts, clocks in MHz. Servers have a high or a low priority. An order takes effect at each
/// server's next iteration boundary once its delay is over; a later order for the same servers takes effect later.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

enum class ServerPriority : std::uint8_t { kHigh, kLow };

/// One telemetry sample.
struct PowerSample {
  Time now{};
  std::int64_t milliwatts = 0;   ///< mean of the row since the last sample
  std::int64_t budget = 0;       ///< milliwatts
  bool braked = false;           ///< the brake was on for a part of the time: says nothing about the load
  double share() const { return static_cast<double>(milliwatts) / static_cast<double>(budget); }
};

class PowerControl {
 public:
  virtual ~PowerControl() = default;
  /// Clock of the servers of a priority; 0: full speed. One that is in force or on its way already is not ordered
  /// again.
  virtual void set_clock(ServerPriority, int megahertz) = 0;
  /// The clock that was ordered last, and the one in force; 0: full speed. The brake does not count.
  virtual int ordered(ServerPriority) const = 0;
  virtual int in_force(ServerPriority) const = 0;
  /// All servers to the brake's clock at once, whatever was ordered; false lets them go back to what was.
  virtual void brake(bool on) = 0;
  virtual bool braking() const = 0;        ///< ordered or in force
};

class PowerPolicy {
 public:
  virtual ~PowerPolicy() = default;
  virtual void on_sample(const PowerSample&, PowerControl&) = 0;
  /// Clocks that it may order; every device of the row must have them.
  virtual std::vector<int> clocks() const = 0;
  virtual int brake_clock() const = 0;     ///< one of them
};

}  // namespace orrery
