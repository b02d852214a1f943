/// A device to be swept: it prepares a point (allocates, fills with random numbers) and runs it any number of times.
/// How often, in which order, what is kept is the protocol's business (protocol.hpp), the same for all devices.
///
///   auto backend = make_sweep_backend("cpu", model, sweep_options("cpu", model, false));   // throws ConfigError
///   auto trial = backend->prepare(point);
///   double seconds = trial->run(10);                                 // ten launches
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

/// A whole step of an engine: one launch a sample.
class StepTrial final : public Trial {
 public:
  StepTrial(StepEngine& engine, const StepBatch& batch) : engine_(engine), batch_(batch) {}
  double run(std::int64_t) override { return engine_.run(batch_); }
  bool repeats() const override { return false; }

 private:
  StepEngine& engine_;
  const StepBatch& batch_;
};

/// Of one device: idle, and what work adds to that.
struct SweptPower {
  double idle_w = 0, limit_w = 0, joules_per_flop = 0, joules_per_byte = 0;
  std::string source;
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
  virtual SpeedOfLight probe() = 0;                  ///< what nothing on the device can beat
  virtual std::string probe_source() const { return "multiply-adds in registers and reads of memory, measured"; }
  virtual double drift_limit() const { return 10; }  ///< percent of the sentinels; 10: a CPU with neighbours
  virtual Value condition() const { return Value::object(); }   ///< clocks, power, temperature as they are now
  virtual std::optional<SweptPower> power() { return std::nullopt; }   ///< measured now; none: not reported
  virtual std::unique_ptr<Trial> prepare(const SweepPoint& point) = 0;
  /// False once a point has ended the device's work: an illegal address on a GPU ends all of a process.
  virtual bool usable() { return true; }
};

/// What is swept on a backend: a CPU thread's small model, or a server's batches on a GPU, as far as its memory goes.
SweepOptions sweep_options(std::string_view name, const ModelShape& model, bool quick);

std::unique_ptr<SweepBackend> make_cpu_backend(const ModelShape& model, const SweepOptions& options);
std::unique_ptr<SweepBackend> make_sweep_backend(std::string_view name, const ModelShape& model,
                                                 const SweepOptions& options);

}  // namespace orrery
