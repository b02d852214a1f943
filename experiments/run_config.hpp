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

#include "experiments/capacity.hpp"
#include "experiments/classes.hpp"
#include "experiments/document.hpp"
#include "experiments/signals.hpp"
#include "hwmodels/variants.hpp"
#include "sim/base/units.hpp"
#include "sim/cluster.hpp"
#include "sim/config/describe.hpp"
#include "sim/config/reader.hpp"
#include "sim/config/search_path.hpp"
#include "sim/config/value.hpp"
#include "sim/engine/operations.hpp"
#include "sim/metrics/summary.hpp"

namespace orrery {

/// One entry of /policy: a name and its parameters (an object without `name`, anchored where it stood).
struct PolicyChoice {
  std::string name;
  Value parameters = Value::object();
  bool given = false;  ///< by the config; else a default or an engine preset
};

struct PolicyChoices {
  PolicyChoice batching, order, predictor, kv, router, admission, cluster;
};

/// One of /cluster/pools. What it leaves open counts as in the rest of the config.
struct PoolConfig {
  std::string name;
  Role role = Role::kMixed;
  std::int64_t replicas = 1, tp = 1, pp = 1;
  std::int64_t priority = 0;        ///< of the requests that it is for; lower is more urgent
  std::int64_t serving = -1;        ///< instances that serve at the start; -1: all
  double network_bytes_per_s = 0;   ///< of one instance; 0: the devices' data sheet
  Value hardware;                   ///< null: /hardware
  PolicyChoices policy;             ///< batching, order, kv
  Lifecycle lifecycle;
};

/// One of /cluster/nodes: machines that are alike.
struct NodeConfig {
  std::int64_t count = 1;
  std::string hardware;             ///< "" : of any pool
  Server server;
};

/// One of /cluster/links; pools by index.
struct LinkConfig {
  std::int32_t from = 0, to = 0;
  double bytes_per_s = 0;           ///< shared by all transfers from one to the other; 0: no limit
  Duration latency{};
};

/// One of /power: servers that share a power budget, and the policy that keeps them below it.
struct PowerConfig {
  std::string name, pointer;
  std::vector<std::int32_t> pools;  ///< empty: all servers
  double budget_w = 0;
  Duration telemetry = 2s, cap_delay = 40s, brake_delay = 5s;   ///< POLCA (ASPLOS'24)
  double constant_w = 0, share = 0; ///< of a server, besides its devices: always, and for each watt of theirs
  PolicyChoice policy;
};

/// One of /scaling: a rule and the pool that it scales.
struct ScalingConfig {
  std::int32_t pool = 0;
  PolicyChoice rule{.name = "target"};
  std::int64_t least = 1, most = 1;
  Duration every = 15s, lag{}, start_delay{};
  std::string pointer;
};

/// What happens to a request whose prompt and output do not fit the model's context.
enum class TooLong : std::uint8_t { kReject, kTruncate, kRefuse };

struct ClusterConfig {
  std::int64_t replicas = 1, tp = 1, pp = 1;
};
void describe(Describer&, ClusterConfig&);

struct EngineConfig {
  std::string preset;                                         ///< "" : none
  std::int64_t max_num_seqs = 0, max_num_batched_tokens = 0;  ///< 0: the batching policy's own
  bool chunked_prefill = true, chunked_prefill_given = false;
  std::int64_t max_model_len = 0;  ///< tokens; 0: the model's
  std::int64_t block_size = 16;
  double gpu_memory_utilization = 0.9;
  std::int64_t kv_blocks = 0;               ///< of one replica; 0: derived
  Bytes swap_space{std::int64_t{4} << 30};  ///< host memory for swapped KV, of one replica; vLLM 0.2's default
  TooLong too_long = TooLong::kReject;
  std::vector<std::string> from_preset;  ///< keys of /engine that the preset alone sets
  std::string prefix_cache = "none";     ///< none, hash, radix; not described: it is a name or an object
  /// Host memory for cached prefixes that the device evicts, of one replica.
  struct KvTier {
    std::string name;                    ///< "": there is none
    double size = 0;                     ///< bytes
    double bytes_per_s = 0;              ///< of a replica's links together, each way
  } tier;
  Variants variants;                     ///< kernels, kv_format, kv_layout: described by themselves
};
void describe(Describer&, EngineConfig&);

struct StopConfig {
  std::int64_t requests = 0;  ///< arrivals; 0: all the workload has
  Duration after{};           ///< only arrivals before this time; 0: no limit
  bool drain = true;
};
void describe(Describer&, StopConfig&);

struct ReplicationConfig {
  std::int64_t seeds = 1;
  bool model_error = false;
  enum class Resample : std::uint8_t {
    kAuto,
    kOff,
    kOn
  } resample = Resample::kOff;  ///< not described: true, false, "auto"
};
void describe(Describer&, ReplicationConfig&);

/// How `validate` compares; `run` does not look at it.
struct ValidateConfig {
  double load = 0.7;
  std::int64_t runs = 3, batches = 240;
  std::vector<double> loads;                 ///< each in turn, instead of `load`
  std::string batching;                      ///< names, each in turn, instead of the policy's own; separated by commas
};
void describe(Describer&, ValidateConfig&);

struct GlobalConfig {
  std::int64_t seed = 1;
  bool charges = false;           ///< of requests, also where nothing else asks for them
  bool rows = true;
};
void describe(Describer&, GlobalConfig&);

/// Keys that are reserved for mechanisms that are not there yet, by the pointer of their object.
std::vector<std::string> reserved_keys(std::string_view object_pointer);

struct RunConfig {
  Document document;
  SearchPath search;
  Value model, hardware, workload;
  ClusterConfig cluster;
  std::vector<PoolConfig> pools;      ///< empty: one, of /cluster
  std::vector<LinkConfig> links;
  CapacityConfig capacity;
  std::vector<PowerConfig> power;
  SignalsConfig signals;
  std::vector<Operation> events;
  std::vector<ScalingConfig> scaling;
  std::vector<NodeConfig> nodes;      ///< empty: instances stand nowhere in particular
  EngineConfig engine;
  PolicyChoices policy;
  std::vector<SloLimit> slo;  ///< of all classes
  std::vector<ClassConfig> classes;
  StopConfig stop;
  std::optional<Duration> warmup;  ///< none: auto
  ReplicationConfig replication;
  ValidateConfig validate;
  std::vector<std::string> plugins;
  GlobalConfig global;

  std::uint64_t seed() const { return static_cast<std::uint64_t>(global.seed); }
};

RunConfig read_run_config(Document document, ErrorList& errors);

/// Key with names of pools, as their numbers; empty where it is left out. Errors: no array, an empty one, unknown
/// names.
std::vector<std::int32_t> pool_indices(ObjectReader& r, std::string_view key, const std::vector<PoolConfig>& pools);

/// Where names are looked up: beside the config, the user's config folder ($XDG_CONFIG_HOME/orrery or
/// ~/.config/orrery), then $ORRERY_DATA (default ../shared/data) and its traces/; for the config.json of a result also
/// where its names were looked up.
SearchPath search_path_for(const Document& document);

/// {"ttft_p99": "500ms"} as limits. Metrics ttft, tpot, itl, e2e, queue; percentiles p0 (excluded) to p100.
std::vector<SloLimit> read_slo(const Value& slo, int request_class, ErrorList& errors);
/// "ttft_p99", "e2e_p99.9".
std::string slo_key(const SloLimit& limit);

}  // namespace orrery
