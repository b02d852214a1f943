/// A run config, read: every key of DESIGN section 3 is known here, those whose mechanism is not there yet are refused
/// by name, and all errors are found together. Parts that other folders own (model, hardware, workload, the parameters
/// of policies) stay documents; whoever builds them checks them (simulate.hpp).
///
///   ErrorList errors;
///   RunConfig config = read_run_config(load_document("run.json", {}), errors);
///   errors.throw_if_any();
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/document.hpp"
#include "sim/base/units.hpp"
#include "sim/config/reader.hpp"
#include "sim/config/search_path.hpp"
#include "sim/config/value.hpp"
#include "sim/metrics/summary.hpp"

namespace orrery {

/// One entry of /policy: a name and its parameters (an object without `name`, anchored where it stood).
struct PolicyChoice {
  std::string name;
  Value parameters = Value::object();
  bool given = false;                 ///< by the config; else a default or an engine preset
};

struct PolicyChoices {
  PolicyChoice batching, order, predictor, kv, router;
};

/// What happens to a request whose prompt and output do not fit the model's context.
enum class TooLong : std::uint8_t { kReject, kTruncate, kRefuse };

struct EngineConfig {
  std::string preset;                                 ///< "" : none
  std::optional<std::int64_t> max_num_seqs, max_num_batched_tokens, max_model_len, kv_blocks;
  std::optional<bool> chunked_prefill;
  std::int64_t block_size = 16;
  std::optional<double> gpu_memory_utilization;
  std::string prefix_cache = "none";                  ///< none, hash, radix
  Bytes host_memory{0};                               ///< for swapped KV, per station
  TooLong too_long = TooLong::kReject;
};

struct ClassConfig {
  std::string name;
  std::vector<std::string> tenants, classes;          ///< of the trace; empty: any
  std::int64_t priority = 0;
  std::optional<Duration> timeout;
};

struct StopConfig {
  std::optional<std::int64_t> requests;               ///< arrivals; else all the workload has
  std::optional<Duration> after;                      ///< arrivals before this time only
  bool drain = true;
};

struct ReplicationConfig {
  std::int64_t seeds = 1;
  enum class Resample : std::uint8_t { kAuto, kOff, kOn } resample = Resample::kAuto;
  bool model_error = false;
};

struct RunConfig {
  Document document;
  SearchPath search;
  Value model, hardware, workload;
  std::int64_t replicas = 1, tp = 1, pp = 1;
  EngineConfig engine;
  PolicyChoices policy;
  std::vector<SloLimit> slo;                          ///< of all classes
  std::vector<ClassConfig> classes;
  StopConfig stop;
  std::optional<Duration> warmup;                     ///< none: auto
  ReplicationConfig replication;
  std::vector<std::string> plugins;
  std::uint64_t seed = 1;
  bool rows = true;
};

RunConfig read_run_config(Document document, ErrorList& errors);

/// Beside the config, the user's config folder ($XDG_CONFIG_HOME/orrery or ~/.config/orrery), then $ORRERY_DATA
/// (default ../shared/data) and its traces/.
SearchPath search_path_for(const std::string& config_folder);

/// {"ttft_p99": "500ms"} as limits. Metrics ttft, tpot, itl, e2e, queue; percentiles p0 (excluded) to p100.
std::vector<SloLimit> read_slo(const Value& slo, int request_class, ErrorList& errors);
/// "ttft_p99", "e2e_p99.9".
std::string slo_key(const SloLimit& limit);

}  // namespace orrery
