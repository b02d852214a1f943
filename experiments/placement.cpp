#include "experiments/placement.hpp"

#include <map>

#include "experiments/assembly.hpp"
#include "experiments/rate_search.hpp"
#include "policies/disaggregation/distserve_placement.hpp"

namespace orrery {
namespace {

constexpr const char* kPointer = "/cluster/placement";
constexpr std::int64_t kFewest = 300;   // requests of a simulation

Value pool(std::string_view name, PhaseSplit split, int replicas, double bytes_per_s) {
  Value v = Value::object();
  v["name"] = name;
  v["role"] = name;
  v["replicas"] = replicas;
  v["tp"] = split.tp;
  v["pp"] = split.pp;
  if (bytes_per_s > 0) v["network"] = bytes_per_s * split.gpus();
  return v;
}

/// `document` with these pools.
Document with_pools(Document document, const PhasePlan& plan, const PlacementConfig& c) {
  const bool low = c.algorithm == PlacementConfig::Algorithm::kLow;
  const double network = low ? c.nvlink : 0;
  Value& root = document.value;
  Value& cluster = root["cluster"];
  cluster.erase("placement");
  cluster["pools"] = Value::array();
  cluster["pools"].push_back(pool("prefill", plan.prefill, plan.prefills, network));
  cluster["pools"].push_back(pool("decode", plan.decode, plan.decodes, network));
  cluster["links"] = Value::array();
  cluster["links"].push_back(Value::object());
  cluster["links"][0]["from"] = "prefill";
  cluster["links"][0]["to"] = "decode";
  if (const Value* policy = root.find("policy"); policy == nullptr || policy->find("cluster") == nullptr) {
    root["policy"]["cluster"]["name"] = "distserve";
    root["policy"]["cluster"]["paired"] = low;
  }
  root.anchor("");
  return document;
}

struct Limits {
  double ttft = 0, tpot = 0;     ///< seconds
};

/// Which limits a request has to keep.
enum class Judged : std::uint8_t { kTtft, kTpot, kBoth };

class Attainment final : public RowSink {
 public:
  Attainment(Limits limits, Judged judged) : limits_(limits), judged_(judged) {}
  void row(const Row& r) override {
    ++all_;
    if (r.status != Status::kDone) return;
    const bool first = judged_ == Judged::kTpot || to_seconds(r.ttft()) <= limits_.ttft;
    const bool rest = judged_ == Judged::kTtft || r.output.value() < 2 || to_seconds(r.tpot()) <= limits_.tpot;
    good_ += first && rest ? 1 : 0;
  }
  double share() const { return all_ > 0 ? static_cast<double>(good_) / static_cast<double>(all_) : 0; }

 private:
  Limits limits_;
  Judged judged_;
  std::int64_t all_ = 0, good_ = 0;
};

class SimulatedGoodput final : public GoodputOracle {
 public:
  SimulatedGoodput(const Document& document, const std::vector<std::string>& plugins, const PlacementConfig& config,
                   Limits limits)
      : document_(document), plugins_(plugins), config_(config), limits_(limits) {}

  double prefill(PhaseSplit s) override { return known(prefill_, s, [&] { return goodput(s, s, Judged::kTtft); }); }
  double decode(PhaseSplit s) override { return known(decode_, s, [&] { return goodput(s, s, Judged::kTpot); }); }
  double pair(PhaseSplit p, PhaseSplit d) override { return goodput(p, d, Judged::kBoth); }
  std::int64_t simulations() const { return simulations_; }
  const std::string& refusal() const { return refusal_; }   ///< of the first config that could not be run

 private:
  template <class Search>
  static double known(std::map<PhaseSplit, double>& table, PhaseSplit s, Search search) {
    const auto found = table.find(s);
    return found != table.end() ? found->second : table[s] = search();
  }

  double goodput(PhaseSplit p, PhaseSplit d, Judged judged) {
    try {
      Assembly a = assemble(with_pools(document_, {p, d, 1, 1, 0, false}, config_), plugins_);
      return highest_rate({}, [&](double rate) { return holds(a, rate, judged); });
    } catch (const ConfigError& e) {
      if (refusal_.empty()) refusal_ = e.what();
      return 0;
    }
  }

  bool holds(Assembly& a, double rate, Judged judged) {
    a.config.workload["arrival"]["rate"] = rate;
    a.config.workload["requests"] = std::max(kFewest, static_cast<std::int64_t>(rate * to_seconds(config_.simulated)));
    Attainment attainment(limits_, judged);
    Watch watch;
    watch.rows = &attainment;
    if (judged == Judged::kTtft) watch.swift = Role::kDecode;
    if (judged == Judged::kTpot) watch.swift = Role::kPrefill;
    replicate(a, a.config.seed(), watch);
    ++simulations_;
    return attainment.share() >= config_.attainment;
  }

  const Document& document_;
  const std::vector<std::string>& plugins_;
  const PlacementConfig& config_;
  Limits limits_;
  std::map<PhaseSplit, double> prefill_, decode_;
  std::int64_t simulations_ = 0;
  std::string refusal_;
};

/// The limits of /slo; other metrics do not count here.
Limits limits_of(const Value& root, ErrorList& errors) {
  Limits out;
  const Value* slo = root.find("slo");
  ErrorList ignored;   // told when the config is read
  const std::vector<SloLimit> limits = slo != nullptr ? read_slo(*slo, -1, ignored) : std::vector<SloLimit>{};
  for (const SloLimit& l : limits) {
    if (l.metric == Metric::kTtft) out.ttft = to_seconds(l.limit);
    if (l.metric == Metric::kTpot) out.tpot = to_seconds(l.limit);
  }
  if (out.ttft <= 0 || out.tpot <= 0) errors.add(kPointer, "needs limits on ttft and tpot in /slo");
  return out;
}

/// The search sets the rate, so there has to be one; a trace that keeps its own times gets Poisson arrivals meanwhile.
Document searched(Document document, ErrorList& errors) {
  if (const Value* given = document.value.find("workload"); given == nullptr || !given->is_object()) return document;
  Value& workload = document.value["workload"];
  const Value* arrival = workload.find("arrival");
  if (arrival == nullptr) {
    workload["arrival"]["process"] = "poisson";
    workload["arrival"]["rate"] = 1.0;
  } else if (arrival->find("rate") == nullptr) {
    errors.add(kPointer, "needs a /workload/arrival with a rate, which the search varies");
  }
  return document;
}

Value result_of(const PhasePlan& plan, const PlacementConfig& c, std::int64_t simulations) {
  Value v = Value::object();
  v["algorithm"] = c.algorithm == PlacementConfig::Algorithm::kHigh ? "distserve-high" : "distserve-low";
  v["pools"] = Value::array();
  v["pools"].push_back(pool("prefill", plan.prefill, plan.prefills, 0));
  v["pools"].push_back(pool("decode", plan.decode, plan.decodes, 0));
  v["gpus"] = plan.gpus();
  v["goodput_rps"] = plan.goodput;
  v["goodput_per_gpu"] = plan.per_gpu();
  v["simulations"] = simulations;
  return v;
}

/// The model's shape, from the smallest candidate that can be run.
PlacementSpace space_of(const Document& document, const std::vector<std::string>& plugins, const PlacementConfig& c) {
  PlacementSpace space{static_cast<int>(c.gpus), static_cast<int>(c.gpus_per_node), 1, 1, c.rate};
  std::string refusal;
  for (int tp = 1; tp <= std::min(c.gpus_per_node, c.gpus - 1); ++tp) {
    try {
      const PhaseSplit s{tp, 1};
      const Assembly a = assemble(with_pools(document, {s, s, 1, 1, 0, false}, c), plugins);
      space.layers = a.deployment.hardware->model.layers;
      space.heads = a.deployment.hardware->model.heads;
      return space;
    } catch (const ConfigError& e) {
      if (refusal.empty()) refusal = e.what();
    }
  }
  throw ConfigError(refusal);
}

}  // namespace

void describe(Describer& d, PlacementConfig& c) {
  d.field("algorithm", c.algorithm, {{"distserve-high", 0}, {"distserve-low", 1}},
          "DistServe: phases placed apart (algorithm 1), or in pairs inside nodes (algorithm 2)");
  d.field("gpus", c.gpus, {2, 65536}, "Devices to place on");
  d.field("gpus_per_node", c.gpus_per_node, {1, 1024}, "Devices of a node, the most that tensor parallelism spans");
  d.field("rate", c.rate, {0, 1e9}, "Requests a second to be served; 0: as many as the devices can", "/s");
  d.field("attainment", c.attainment, {0.01, 1}, "Share of requests that keep the limits of /slo");
  d.field("simulated", c.simulated, {1, 1e6}, "Time for which requests arrive in each simulation of the search");
  d.field("nvlink", c.nvlink, {1, 1e15}, "distserve-low: bandwidth of one device inside a node, each way", "B/s");
}

Document place(Document document, const std::vector<std::string>& plugins, Value& result, ErrorList& errors) {
  const Value* cluster = document.value.find("cluster");
  const Value* given = cluster != nullptr && cluster->is_object() ? cluster->find("placement") : nullptr;
  if (given == nullptr) return document;
  const std::size_t before = errors.lines().size();
  PlacementConfig c;
  ObjectReader reader(*given, errors, kPointer);
  JsonDescriber json(reader);
  describe(json, c);
  reader.finish();
  if (cluster->find("pools") != nullptr) errors.add(kPointer, "places pools by itself; /cluster/pools is given, too");
  const Limits limits = limits_of(document.value, errors);
  document.value["cluster"].erase("placement");
  const Document base = searched(document, errors);
  if (errors.lines().size() > before) return document;
  const PlacementSpace space = space_of(base, plugins, c);
  SimulatedGoodput oracle(base, plugins, c, limits);
  const PhasePlan plan =
      c.algorithm == PlacementConfig::Algorithm::kHigh ? place_apart(space, oracle) : place_paired(space, oracle);
  if (plan.prefills == 0) {
    errors.add(kPointer, "no placement on " + std::to_string(c.gpus) + " devices keeps /slo" +
                             (c.rate > 0 ? " at this rate" : "") +
                             (oracle.refusal().empty() ? "" : "; " + oracle.refusal()));
    return document;
  }
  result = result_of(plan, c, oracle.simulations());
  return with_pools(std::move(document), plan, c);
}

}  // namespace orrery
