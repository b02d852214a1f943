/// From names to what an experiment needs: cost model, KV capacity, price, provenance. And one operator's time for
/// `orrery cost`.
///
///   Deployment d = deploy({.model = "llama-3.1-8b", .hardware = "h200-sxm", .engine = "vllm-0.24"});
///   d.cost->price(...);  d.kv.blocks;  d.usd_per_hour;  d.provenance;
///
/// Throws ConfigError: unknown names (with the nearest), a model that does not fit (bytes needed and available), a
/// split that does not divide, `not available in this version` for 8-bit weights and experts nobody has measured.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/engine.hpp"
#include "hwmodels/hardware.hpp"
#include "hwmodels/kv_capacity.hpp"
#include "hwmodels/model.hpp"
#include "hwmodels/operator_model.hpp"
#include "hwmodels/profile.hpp"
#include "hwmodels/variants.hpp"

namespace orrery {

struct DeploymentRequest {
  std::string model{}, hardware{};
  std::string engine = "vllm-0.24";
  Parallel parallel{};
  MemoryOptions memory{};
  bool reserved_from_engine = true;      ///< use the preset's reserved bytes where memory.reserved_bytes is 0
  std::string dtype = "bf16";            ///< "bf16" or "fp16"; others are refused
  std::string kv_dtype = "auto";
  Variants variants{};                   ///< kernels, KV format and layout; a virtual layout sets memory.block_tokens
  bool host_from_hardware = false;       ///< a calibrated device's own host terms instead of the engine preset's
  bool whole_steps = false;              ///< price by the device's measured steps of this model
  double host_bytes_per_s = 0;           ///< of a replica's links to host memory together, each way; 0: the hardware's
  std::string profile{};                 ///< price by the entry of this whole-model profile
  std::vector<std::string> folders{};    ///< searched before what is built in
};

struct Deployment {
  ModelShape model;
  Hardware hardware;
  EnginePreset engine;
  Parallel parallel{};
  KvCapacity kv;
  std::unique_ptr<OperatorCostModel> cost;
  std::unique_ptr<StepCostModel> steps;  ///< where whole_steps was asked for; then the price of a step
  std::unique_ptr<ProfileCostModel> profile;   ///< where a profile was named; then the price of a step
  double usd_per_hour = 0;               ///< all devices of one replica; 0 and a note where no price is known
  std::vector<std::string> provenance;   ///< one line each: model, hardware, grade and error, host terms, power, price
};

Deployment deploy(const DeploymentRequest& request);

/// One operator's answer. The interval is the 90 % one of the held-out error (p95 of |error|, either way); for a
/// data-sheet device it is not known and equals [0, 0].
struct OperatorQuote {
  double seconds = 0, low_seconds = 0, high_seconds = 0;
  double flops_per_s = 0, bytes_per_s = 0;
  Grade grade = Grade::kDatasheet;
  bool in_range = false;
};

/// `op`: gemm {m, n, k}, prefill {batch, q, context, heads, kv_heads, head_dim}, decode {batch, context, heads,
/// kv_heads, head_dim}, all-reduce {gpus, bytes}. Missing or unknown keys throw ConfigError; `context` of a prefill may
/// be left out.
OperatorQuote quote(const Hardware& hardware, std::string_view op, const std::map<std::string, double>& set);

}  // namespace orrery
