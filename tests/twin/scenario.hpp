/// A whole run as a few lines of text: what the scenario files hold and what the fuzz prints when it finds a
/// difference.
///
///   # head-of-line: with orca the long prompt delays the short one
///   engine  batching=orca max_running=4 kv_blocks=100 block=16  cost: 10ms + 1ms*token
///   t=0ms   a prompt=100 out=2
///   t=1ms   b prompt=4   out=2
///   expect  a.first=110ms b.first=125ms
///
/// engine  batching, order, kv, predictor, router, admission name policies (defaults: fcfs, paged, none, none, none).
///         stations, kv_blocks, block, host (tokens of swap room), kv_bytes, prefix (none|hash|radix),
///         host_prefix (blocks of host memory for cached prefixes), seed are the
///         engine's; stages and hop=2ms belong to the cost. Any other key is a parameter of a policy:
///         `token_budget=512`, or `kv.watermark=0.01` where several have the name.
/// cost:   a sum of terms: 10ms, 1ms*token, 2us*context, 5us*context/1024 (rounded down: a knot every 1024), or
///         2us*context>4096 (what lies above 4096). Features: token (prefill + decode), prefill, decode, context,
///         longest, pairs, sequence, output, in, out (bytes moved). A pipeline stage s > 0 adds `skew=3ms` times s.
/// request lines: t=TIME, or after=NAME+TIME (that long after NAME left); then its name; prompt=, out=, and optionally
///         max= (default out), prefix=KEY:TOKENS (several, in order), okey=KEY (what its answer can be extended by),
///         session=, prio=, deadline=TIME, tenant=, class=, model=, cancel=TIME (after arrival). N*NAME makes N of
///         them, named NAME0, NAME1, ..., at once or `every=TIME`.
/// class lines: `class 1 timeout=30ms retries=3 backoff=10ms weight=2 ttft=1s tpot=200ms formula=v1` says how the
///         clients of class 1 behave and what policies know of them; a class that no line names waits for ever.
/// expect  NAME.first, .finish, .schedule (times), .status, .cached, .preempted, .station, .output, .retries, .qoe;
///         sum.computed, sum.recomputed, sum.wasted, sum.swaps, sum.preemptions, sum.host_in,
///         sum.host_out, sum.iterations, sum.padded;
///         count.STATUS (requests);
///         end (time).
///
/// Times: 1500ps, 3ns, 2us, 10ms, 1.5s. Errors throw std::invalid_argument with file:line.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster.hpp"
#include "sim/cost.hpp"
#include "sim/power.hpp"
#include "sim/request.hpp"
#include "sim/scaling.hpp"
#include "tests/twin/twin.hpp"

namespace orrery {

/// One term of a cost: `each` times the feature, or the feature / `per` rounded down, or what of it lies above `above`.
struct CostTerm {
  Duration each{};
  int feature = 0;            ///< index in kCostFeatures; 0 is the constant 1
  std::int64_t per = 1, above = 0;
};
inline constexpr std::array<std::string_view, 11> kCostFeatures{
    "1", "token", "prefill", "decode", "context", "longest", "pairs", "sequence", "output", "in", "out"};

struct CostSpec {
  std::vector<CostTerm> terms;
  int stages = 1;
  Duration hop{}, skew{};
};

/// Integer and exact; `valid` ends where a knot or a bend is passed.
class ScenarioCost final : public CostModel {
 public:
  explicit ScenarioCost(CostSpec spec) : spec_(std::move(spec)) {}
  StepRun price(std::span<const StepShape> members, int stage) const override;
  Duration hop(Tokens) const override { return spec_.hop; }
  int stages() const override { return spec_.stages; }

 private:
  CostSpec spec_;
};

struct RequestSpec {
  std::string name, after;        ///< after: name of the request whose end it waits for; empty: none
  Duration at{};                  ///< arrival, or the wait after `after`
  Request request;
  std::vector<Segment> segments;
};

struct Expectation { std::string what, value, where; };

struct Scenario {
  std::string title;
  std::map<std::string, std::string> policies;    ///< slot -> name: batching, order, kv, predictor, router
  std::map<std::string, std::string> parameters;  ///< of the policies
  int stations = 1;
  TwinConfig engine;                              ///< numbers only; the policies are made anew for each run
  CostSpec cost;
  std::vector<RequestSpec> requests;
  std::vector<Expectation> expectations;
};

std::vector<Scenario> read_scenarios(const std::string& path);
std::vector<Scenario> parse_scenarios(const std::string& text, const std::string& name);
std::string to_text(const Scenario& scenario);

Duration parse_duration(std::string_view text);
std::string duration_text(Duration d);

/// The requests of a scenario, numbered in the order in which they arrive.
class ScenarioSource final : public RequestSource {
 public:
  explicit ScenarioSource(const Scenario& scenario);
  Time peek() const override;
  void pop(Request& out) override;
  void on_done(const Request& request, Time now) override;
  const std::string& name(std::uint64_t number) const { return scenario_.requests[line_of_.at(number)].name; }

 private:
  const Scenario& scenario_;
  std::vector<Time> arrival_;                 ///< by line; kNever: not known yet or taken
  std::vector<std::size_t> line_of_;          ///< by number
};

/// The policies of a scenario, freshly made. Throws std::invalid_argument on unknown names and unused parameters.
struct ScenarioPolicies {
  explicit ScenarioPolicies(const Scenario& scenario);
  ~ScenarioPolicies();
  ScenarioCost cost;
  std::vector<std::unique_ptr<Batcher>> batchers;   ///< one a station
  std::unique_ptr<KvPolicy> kv;
  std::vector<std::unique_ptr<QueueOrder>> orders;  ///< likewise
  std::unique_ptr<LengthPredictor> predictor;
  std::unique_ptr<Router> router;
  std::unique_ptr<AdmissionPolicy> admission;
};

/// A policy by name, with parameters as in an engine line: of a cluster, a power domain, or a scaling rule. Throws the
/// same.
template <class Interface>
std::unique_ptr<Interface> make_policy(const std::string& name, const std::map<std::string, std::string>& parameters);

/// With `around`, each batcher is replaced by what it returns for it (a check, say), with `cost` the scenario's cost;
/// the replacements are owned by nobody.
TwinResult run_twin(const Scenario& scenario, const std::function<Batcher*(Batcher&)>& around = {},
                    const CostModel* cost = nullptr);
/// Value of one expectation's left side, as text to compare with its right side.
std::string observed(const Scenario& scenario, const TwinResult& result, const std::string& what);
/// All expectations that do not hold, one a line.
std::string failures(const Scenario& scenario, const TwinResult& result);

}  // namespace orrery
