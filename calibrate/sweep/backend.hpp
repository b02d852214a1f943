/// A device to be swept: it prepares a point (allocates, fills with random numbers) and runs it any number of times.
/// How often, in which order, what is kept is the protocol's business (protocol.hpp), the same for all devices.
///
///   auto backend = make_sweep_backend("cpu", model, options);        // throws ConfigError that says why not
///   auto trial = backend->prepare(point);
///   double seconds = trial->run(10);                                 // ten launches
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "calibrate/fit/table.hpp"
#include "calibrate/sweep/point.hpp"

namespace orrery {

class Trial {
 public:
  virtual ~Trial() = default;
  /// Seconds of `launches` launches one after the other, each on other buffers than the one before, of more memory
  /// together than the cache next to the processor holds, as the layers of a model are.
  virtual double run(std::int64_t launches) = 0;
  virtual bool repeats() const { return true; }      ///< false: one launch a sample (whole steps)
};

class SweepBackend {
 public:
  virtual ~SweepBackend() = default;
  virtual std::string_view name() const = 0;
  virtual Value machine() const = 0;                 ///< fingerprint: processor, memory, compiler, instruction set
  virtual double value_bytes() const = 0;
  virtual std::int64_t row_tile() const = 0;         ///< rows that its GEMM takes at once
  virtual double memory_bytes() const = 0;
  virtual double units() const = 0;                  ///< processors that share a launch
  virtual SpeedOfLight probe() = 0;                  ///< what nothing on the device can beat, measured now
  virtual std::unique_ptr<Trial> prepare(const SweepPoint& point) = 0;
};

std::unique_ptr<SweepBackend> make_sweep_backend(std::string_view name, const ModelShape& model,
                                                 const SweepOptions& options);

}  // namespace orrery
