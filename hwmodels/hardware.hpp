/// A device as the simulator knows it: data sheet, fitted operators, links, power and price, each with its source.
/// Files: hwmodels/gpus/NAME.json. A `datasheet` file names a fitted one (`scaled_from`); its roofs are scaled by the
/// ratios of the data sheets and it keeps that one's residual.
///
///   Hardware h = load_hardware("h200-sxm", {});                 // throws ConfigError, nearest names on a miss
///   double t = h.gemm.seconds({64, 6144, 4096});
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/catalogue.hpp"
#include "hwmodels/engine.hpp"
#include "hwmodels/operator.hpp"
#include "hwmodels/step_model.hpp"
#include "hwmodels/validation.hpp"
#include "sim/base/units.hpp"
#include "sim/config/value.hpp"
#include "sim/cost.hpp"

namespace orrery {

struct Specs {
  double flops_per_s = 0;            ///< dense 16-bit
  double memory_bytes = 0;           ///< what the driver reports, where known; else the data sheet's decimal GB
  double memory_bytes_per_s = 0;
  double cache_bytes = 0;            ///< last level; 0: not known
  double link_bytes_per_s = 0;       ///< to the other devices of a node, one way; 0: none (PCIe is used)
  double pcie_bytes_per_s = 0;       ///< one way
  double network_bytes_per_s = 0;    ///< per device; 0: not known
  double sm_count = 0, tdp_w = 0;
  double value_bytes = 2;            ///< of a weight, an activation, an unquantised key: 4 on the CPU backend
  std::string source;
};

/// (alpha^p + (bytes / B)^p)^(1/p): the latency of a small message, the bandwidth of a large one.
struct AlphaBeta {
  double alpha_s = 0, bytes_per_s = 1, p = 1;
  double seconds(double bytes) const;
};

/// All-reduce among `gpus` devices of a node; the faster of the engine's own kernel and NCCL.
struct AllReduce {
  int gpus = 2;
  std::vector<AlphaBeta> ways;
  double mape = 0;                   ///< percent, over the rows it was fitted to
  double seconds(double bytes) const;
};

/// Power while a step runs: active_w + rates, never above the limit; while nothing runs: idle_w. Per device.
struct PowerModel {
  double idle_w = 0, active_w = 0, limit_w = 0;
  double joules_per_flop = 0, joules_per_byte = 0;
  std::string source, date;
};

/// Clocks that a device can be held at; see power.hpp.
struct ClockFacts {
  std::vector<int> mhz;              ///< descending, the first is full speed; empty: not known
  double exponent = 1;               ///< of power above idle over the clock
  double idle_fraction = 0;          ///< of the data sheet's power, drawn at any clock
  std::string source;
};

struct Price {
  double usd_per_hour = 0;           ///< one device, on demand; 0: not known
  std::string source, date;
};

/// Whole steps of one model on this device (`hardware.cost: "steps"`).
struct MeasuredSteps {
  std::string model;
  std::int64_t parameters = 0;       ///< of that model, so that a namesake is not mistaken for it
  StepLaw law;
};

/// What `orrery calibrate` found of other kernels, in times of the fitted decode attention at the same shape; 0: not
/// known. KIVI: over the quantised part of the context.
struct MeasuredVariants {
  double unified_max = 0, fp8 = 0, kivi_4 = 0, kivi_2 = 0;
};

struct Hardware {
  std::string name;
  Grade grade = Grade::kDatasheet;
  std::string scaled_from;           ///< of a datasheet entry
  Specs specs;
  OperatorModel gemm, prefill, decode;
  std::optional<OperatorModel> experts;   ///< products of a mixture of experts; only `orrery calibrate` knows them
  std::vector<AllReduce> all_reduce; ///< by number of devices, ascending
  AlphaBeta send_recv;
  double pcie_efficiency = 0.85;     ///< share of the data sheet that a copy reaches (assumed)
  std::string attention_family;      ///< "fa2", "fa3": of its prefill table; "": another, or not known
  // What only `orrery calibrate` knows:
  std::optional<HostTerms> host;     ///< of our engine on this device; count where the config names no preset
  double step_correction = 1;        ///< whole steps over the sum of their operators
  MeasuredVariants variants;
  double map_group_s = 0;            ///< mapping a page group for KV; 0: as published
  std::vector<MeasuredSteps> whole_steps;
  std::vector<ValidationRecord> validations;   ///< comparisons with a real engine that hold for this file
  bool stale_validations = false;              ///< there were some, of other numbers
  PowerModel power;
  ClockFacts clocks;
  Price price;
  std::string fit_source, fit_date;  ///< of the operators
  std::string origin;                ///< file it was read from, or "built in"

  const OperatorModel& operator_model(Op op) const;
  double all_reduce_seconds(int gpus, double bytes) const;   ///< 0 for one; nearest fitted count, alpha scaled by steps
  bool all_reduce_fitted(int gpus) const;
};

Hardware load_hardware(std::string_view name, const std::vector<std::string>& folders);
Hardware hardware_from_json(const Value& v, const std::vector<std::string>& folders);

/// The `operators` entry of a file: coefficients, range, error, residual. Written by the fitter.
Value to_value(const OperatorModel& model);
OperatorModel operator_from_json(Op op, const Value& v);

}  // namespace orrery
