#include "experiments/operations.hpp"

#include <algorithm>

#include "experiments/policy_set.hpp"
#include "sim/config/names.hpp"

namespace orrery {
namespace {

constexpr double kYear = 366.0 * 86400;

/// The pool that an object names; the only one where it names none. -1 and an error if there is no such pool.
std::int32_t read_pool(ObjectReader& r, const std::vector<PoolConfig>& pools) {
  std::vector<std::string> known;
  for (const PoolConfig& p : pools) known.push_back(p.name);
  if (!r.has("pool") && pools.size() == 1) return 0;
  std::string name;
  if (r.require("pool") == nullptr || !r.string("pool", name)) return -1;
  const auto it = std::find(known.begin(), known.end(), name);
  if (it != known.end()) return static_cast<std::int32_t>(it - known.begin());
  r.error("pool", unknown_name("pool", name, known));
  return -1;
}

/// A number, or an array of numbers.
void read_numbers(ObjectReader& r, std::string_view key, double max, std::vector<std::int32_t>& out) {
  const Value* v = r.take(key);
  if (v == nullptr) return;
  const auto add = [&](const Value& one) {
    const double x = one.is_number() ? one.as_double() : -1;
    if (x < 0 || x > max || x != static_cast<double>(static_cast<std::int32_t>(x)))
      return r.error(key, "expected an integer in [0, " + format_number(max) + "], got " + brief(one));
    out.push_back(static_cast<std::int32_t>(x));
  };
  if (!v->is_array()) return add(*v);
  for (const Value& one : v->items()) add(one);
}

/// Of the usual price or bandwidth.
void read_factor(ObjectReader& r, Operation& o) {
  double factor = o.kind == Operation::kSlow ? 2 : 0.1;
  if (o.kind == Operation::kSlow) r.number("factor", factor, {0.001, 1000});
  if (o.kind == Operation::kDegrade) r.number("factor", factor, {0.001, 1});
  o.per_mille = static_cast<std::int64_t>(factor * 1000 + 0.5);
}

/// Whom it hits, and how hard.
void read_target(const Value& v, const std::vector<PoolConfig>& pools, const std::vector<LinkConfig>& links,
                 Operation& o, ErrorList& errors) {
  ObjectReader r(v, errors);
  if (o.kind == Operation::kDegrade && (r.has("from") || r.has("to"))) {
    const auto [from, to] = read_link_names(r, pools, links);
    o.pool = PoolId{from};
    o.link = PoolId{to};
    read_factor(r, o);
    return r.finish();
  }
  const bool everywhere = pools.size() > 1 && !r.has("pool") && (r.has("nodes") || r.has("node"));
  const std::int32_t pool = everywhere ? -1 : read_pool(r, pools);
  o.pool = PoolId{pool};
  const double replicas = pool < 0 ? 65536 : static_cast<double>(pools[static_cast<std::size_t>(pool)].replicas);
  int given = 0;
  for (const auto* key : {"replicas", "nodes", "replica", "node"}) given += r.has(key);
  if (given > 1)
    r.error(r.has("nodes") ? "nodes" : "replica", "one of `replicas`, `nodes`, `replica`, `node` says whom it hits");
  o.nodes = r.has("nodes") || r.has("node");
  std::int64_t count = 1;
  r.integer("replicas", count, {1, replicas});
  r.integer("nodes", count, {1, replicas});
  if (o.kind == Operation::kRestart) r.integer("at_once", count, {1, replicas});
  o.count = static_cast<std::int32_t>(count);
  read_numbers(r, "replica", replicas - 1, o.which);
  read_numbers(r, "node", 65535, o.which);
  read_factor(r, o);
  if (o.kind == Operation::kRestart) r.duration("drain", o.lasts, {0, kYear});
  r.finish();
}

Operation read_event(const Value& v, const std::vector<PoolConfig>& pools, const std::vector<LinkConfig>& links,
                     ErrorList& errors) {
  Operation o;
  ObjectReader r(v, errors);
  Duration at{};
  r.duration("at", at, {0, kYear});
  o.at = Time{at};
  r.duration("every", o.every, {1e-3, kYear});
  if (!r.has("at") && !r.has("every")) r.error("at", "missing key: when it happens, or `every`, how often on average");
  constexpr Operation::Kind kinds[] = {Operation::kFail, Operation::kSlow, Operation::kDegrade, Operation::kRestart};
  const Value* target = nullptr;
  for (const Operation::Kind kind : kinds) {
    const Value* given = r.take(name(kind));
    if (given == nullptr) continue;
    if (target != nullptr) r.error(name(kind), "an event is one thing; write another for this");
    target = given;
    o.kind = kind;
  }
  if (target == nullptr) r.errors().add(r.pointer(), "says not what happens: fail, slow, network or restart");
  else read_target(*target, pools, links, o, errors);
  if (o.kind != Operation::kRestart) r.duration("for", o.lasts, {0, kYear});
  if (o.kind == Operation::kFail || o.kind == Operation::kRestart) r.duration("start_delay", o.start_delay, {0, kYear});
  if (o.kind == Operation::kFail) {
    r.duration("detect", o.detect, {0, kYear});
    int calls = 0;
    r.choice("calls", calls, {{"recompute", 0}, {"restart", 1}});
    o.calls = calls == 0 ? Move::kRecompute : Move::kRestart;
  }
  r.finish();
  return o;
}

ScalingConfig read_rule(const Value& v, const std::vector<PoolConfig>& pools, ErrorList& errors) {
  ScalingConfig c;
  c.pointer = v.pointer();
  ObjectReader r(v, errors);
  c.pool = read_pool(r, pools);
  const std::int64_t all = c.pool < 0 ? 65536 : pools[static_cast<std::size_t>(c.pool)].replicas;
  c.most = all;
  r.string("rule", c.rule.name);
  r.integer("min", c.least, {0, static_cast<double>(all)});
  r.integer("max", c.most, {1, static_cast<double>(all)});
  r.duration("every", c.every, {1e-3, kYear});
  r.duration("lag", c.lag, {0, kYear});
  r.duration("start_delay", c.start_delay, {0, kYear});
  if (c.least > c.most) r.error("min", "is above `max`");
  c.rule.given = true;
  c.rule.parameters = v;
  for (const auto* key : {"pool", "rule", "min", "max", "every", "lag", "start_delay"}) c.rule.parameters.erase(key);
  return c;   // the rest is the rule's
}

template <class Read>
void read_list(const Value& v, ErrorList& errors, Read read) {
  if (!v.is_array()) return errors.add(v.pointer(), "expected an array, got " + brief(v));
  for (const Value& one : v.items()) read(one);
}

}  // namespace

std::pair<std::int32_t, std::int32_t> read_link_names(ObjectReader& r, const std::vector<PoolConfig>& pools,
                                                      const std::vector<LinkConfig>& links) {
  const std::size_t before = r.errors().lines().size();
  const auto pool = [&](std::string_view key) {
    std::vector<std::string> known;
    for (const PoolConfig& p : pools) known.push_back(p.name);
    std::string name;
    if (r.require(key) == nullptr || !r.string(key, name)) return -1;
    const auto it = std::find(known.begin(), known.end(), name);
    if (it == known.end()) r.error(key, unknown_name("pool", name, known));
    return it == known.end() ? -1 : static_cast<std::int32_t>(it - known.begin());
  };
  const std::int32_t from = pool("from"), to = pool("to");
  const auto is_it = [&](const LinkConfig& l) { return l.from == from && l.to == to; };
  if (r.errors().lines().size() > before) return {-1, -1};
  if (std::any_of(links.begin(), links.end(), is_it)) return {from, to};
  r.errors().add(r.pointer(), "/cluster/links has no link from \"" + pools[static_cast<std::size_t>(from)].name +
                                  "\" to \"" + pools[static_cast<std::size_t>(to)].name + "\"");
  return {-1, -1};
}

std::vector<Operation> read_events(const Value& v, const std::vector<PoolConfig>& pools,
                                   const std::vector<LinkConfig>& links, ErrorList& errors) {
  std::vector<Operation> out;
  read_list(v, errors, [&](const Value& one) { out.push_back(read_event(one, pools, links, errors)); });
  return out;
}

std::vector<ScalingConfig> read_scaling(const Value& v, const std::vector<PoolConfig>& pools, ErrorList& errors) {
  std::vector<ScalingConfig> out;
  read_list(v, errors, [&](const Value& one) {
    ScalingConfig c = read_rule(one, pools, errors);
    const bool taken = std::any_of(out.begin(), out.end(), [&](const ScalingConfig& o) { return o.pool == c.pool; });
    if (taken && c.pool >= 0) errors.add(pointer_to(one.pointer(), "pool"), "another rule scales this pool");
    out.push_back(std::move(c));
  });
  return out;
}

namespace {

/// Is there a bandwidth that it can take a part of?
void check_network(const Operation& o, const ClusterParts& cluster, const std::string& pointer, ErrorList& errors) {
  const auto signal = [&](const BandwidthParts& b) { return b.from == o.pool && b.to == o.link; };
  if (std::any_of(cluster.bandwidths.begin(), cluster.bandwidths.end(), signal)) return;
  if (o.link.valid()) {
    const auto limited = [&](const LinkParts& l) { return l.from == o.pool && l.to == o.link && l.bytes_per_s > 0; };
    if (std::none_of(cluster.links.begin(), cluster.links.end(), limited))
      errors.add(pointer, "the link has no bandwidth, of which it could lose a part");
    return;
  }
  for (std::size_t i = 0; i < cluster.pools.size(); ++i)
    if ((!o.pool.valid() || o.pool.index == static_cast<std::int32_t>(i)) && cluster.pools[i].bytes_per_s == 0)
      errors.add(pointer, "the network of pool \"" + cluster.pools[i].name +
                              "\" has no known bandwidth; state /cluster/pools/" + std::to_string(i) + "/network");
}

}  // namespace

void check_events(const std::vector<Operation>& events, const ClusterParts& cluster, ErrorList& errors) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Operation& o = events[i];
    const std::string pointer = "/events/" + std::to_string(i) + "/" + std::string(name(o.kind));
    if (o.kind == Operation::kDegrade && o.pool.valid()) check_network(o, cluster, pointer, errors);
    if (!o.nodes) continue;
    std::vector<std::int32_t> known;
    for (std::size_t p = 0; p < cluster.pools.size(); ++p)
      if (!o.pool.valid() || o.pool.index == static_cast<std::int32_t>(p))
        known.insert(known.end(), cluster.pools[p].node_of.begin(), cluster.pools[p].node_of.end());
    const auto [first, last] = std::minmax_element(known.begin(), known.end());
    std::string who = "pools stand";
    if (o.pool.valid()) who = "pool \"" + cluster.pools[static_cast<std::size_t>(o.pool.index)].name + "\" stands";
    for (const std::int32_t node : o.which)
      if (std::find(known.begin(), known.end(), node) == known.end())
        errors.add(pointer + "/node", who + " on the nodes " + std::to_string(*first) + " to " + std::to_string(*last) +
                                          ", got " + std::to_string(node));
  }
}

void check_lifecycles(const RunConfig& config, const ClusterPolicy* policy, const ClusterParts& cluster,
                      ErrorList& errors) {
  if (policy != nullptr && policy->keeps_alive()) return;
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    const Lifecycle& l = config.pools[i].lifecycle;
    const std::string pointer = "/cluster/pools/" + std::to_string(i) + "/lifecycle/";
    const bool kept = l.keep_alive >= Duration{};
    const auto scales = [&](const ScalingConfig& s) { return s.pool == static_cast<std::int32_t>(i); };
    if (l.min > 0 && !kept) errors.add(pointer + "min", "counts with keep_alive; instances that nobody drains stay");
    if (kept && std::any_of(config.scaling.begin(), config.scaling.end(), scales))
      errors.add(pointer + "keep_alive", "a rule of /scaling starts and drains the instances of this pool already");
    if (kept && cluster.pools[i].on_nodes)
      errors.add(pointer + "keep_alive",
                 "instances of this pool stand on nodes of /signals/capacity, and go with them");
  }
}

Controllers::Controllers(const RunConfig& config, const Registry& registry, std::uint64_t seed) {
  if (!config.events.empty()) operations_ = std::make_unique<Operations>(config.events, seed);
  for (const ScalingConfig& c : config.scaling) {
    ErrorList errors;
    rules_.push_back(make_scaling_rule(c.rule, pointer_to(c.pointer, "rule"), registry, errors, nullptr));
    errors.throw_if_any();
    scalers_.push_back(std::make_unique<Scaler>(ScalerParts{
        .rule = rules_.back().get(), .pool = PoolId{c.pool}, .least = static_cast<std::int32_t>(c.least),
        .most = static_cast<std::int32_t>(c.most), .every = c.every, .lag = c.lag, .start_delay = c.start_delay}));
  }
}

void Controllers::keep_alive(const RunConfig& config) {
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    const Lifecycle& l = config.pools[i].lifecycle;
    if (l.keep_alive < Duration{}) continue;
    keepers_.push_back(std::make_unique<KeepAlive>(
        KeepAliveParts{PoolId{static_cast<std::int32_t>(i)}, l.min, l.keep_alive, l.engine_init}));
  }
}

std::vector<ClusterController*> Controllers::list() const {
  std::vector<ClusterController*> all;
  if (operations_) all.push_back(operations_.get());
  for (const auto& s : scalers_) all.push_back(s.get());
  for (const auto& k : keepers_) all.push_back(k.get());
  return all;
}

}  // namespace orrery
