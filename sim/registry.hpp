/// The names under which policies are known. `sim/` names none: each family adds its own (policies/register.cpp, one
/// line a policy), and a plug-in adds more before the config is read.
///
///   registry.add<Sarathi>("sarathi", "Sarathi-Serve (OSDI'24)", {"sarathi-serve"});   // needs Sarathi::Config, describe()
///   auto batcher = registry.find<Batcher>("sarathi")->make(json_describer);
///
/// `make` visits a default-constructed Config with the describer and builds the policy from what it left there, so the
/// same call reads a config, lists parameters, or writes the resolved values. Lookup is linear; done at load only.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "sim/cluster.hpp"
#include "sim/config/describe.hpp"
#include "sim/policy.hpp"
#include "sim/power.hpp"
#include "sim/scaling.hpp"

namespace orrery {

template <class Interface>
struct PolicyEntry {
  std::string name;      ///< as in configs
  std::string system;    ///< the published system, with its venue
  std::vector<std::string> aliases;
  std::string family;    ///< the folder below policies/; empty: of a plug-in
  std::function<std::unique_ptr<Interface>(Describer&)> make;
};

/// The key of config section /policy that holds policies of this interface.
template <class Interface> constexpr std::string_view slot_name();
template <> constexpr std::string_view slot_name<Batcher>() { return "batching"; }
template <> constexpr std::string_view slot_name<QueueOrder>() { return "order"; }
template <> constexpr std::string_view slot_name<LengthPredictor>() { return "predictor"; }
template <> constexpr std::string_view slot_name<KvPolicy>() { return "kv"; }
template <> constexpr std::string_view slot_name<Router>() { return "router"; }
template <> constexpr std::string_view slot_name<AdmissionPolicy>() { return "admission"; }
template <> constexpr std::string_view slot_name<ClusterPolicy>() { return "cluster"; }
template <> constexpr std::string_view slot_name<PowerPolicy>() { return "power"; }   ///< of an entry of /power instead
template <> constexpr std::string_view slot_name<ScalingRule>() { return "scaling"; }

class Registry {
 public:
  /// The family of what is added from here on.
  void family(std::string name) { family_ = std::move(name); }

  template <class Policy>
  void add(std::string_view name, std::string_view system, std::initializer_list<std::string_view> aliases = {}) {
    using I = InterfaceOf<Policy>;
    add_entry<I>(name, system, aliases, [](Describer& d) {
      typename Policy::Config config;
      describe(d, config);
      return std::unique_ptr<I>(std::make_unique<Policy>(config));
    });
  }

  template <class Interface>
  const PolicyEntry<Interface>* find(std::string_view name) const {
    for (const auto& e : entries<Interface>()) {
      if (e.name == name) return &e;
      for (const auto& alias : e.aliases)
        if (alias == name) return &e;
    }
    return nullptr;
  }

  template <class Interface>
  const std::vector<PolicyEntry<Interface>>& entries() const {
    return std::get<std::vector<PolicyEntry<Interface>>>(all_);
  }

 private:
  template <class Interface>   // not once a policy: that is slow to compile
  void add_entry(std::string_view name, std::string_view system, std::initializer_list<std::string_view> aliases,
                 std::unique_ptr<Interface> (*make)(Describer&)) {
    list<Interface>().push_back({std::string(name), std::string(system), {aliases.begin(), aliases.end()}, family_, make});
  }

  template <class Policy, class... Is>
  struct FirstBase;
  template <class Policy, class I, class... Is>
  struct FirstBase<Policy, I, Is...>
      : std::conditional_t<std::is_base_of_v<I, Policy>, std::type_identity<I>, FirstBase<Policy, Is...>> {};
  template <class Policy>
  struct FirstBase<Policy> {};
  template <class Policy>
  using InterfaceOf = typename FirstBase<Policy, Batcher, QueueOrder, LengthPredictor, KvPolicy, Router,
                                       AdmissionPolicy, ClusterPolicy, PowerPolicy, ScalingRule>::type;

  template <class Interface>
  std::vector<PolicyEntry<Interface>>& list() { return std::get<std::vector<PolicyEntry<Interface>>>(all_); }

  std::string family_;
  std::tuple<std::vector<PolicyEntry<Batcher>>, std::vector<PolicyEntry<QueueOrder>>,
             std::vector<PolicyEntry<LengthPredictor>>, std::vector<PolicyEntry<KvPolicy>>,
             std::vector<PolicyEntry<Router>>, std::vector<PolicyEntry<AdmissionPolicy>>,
             std::vector<PolicyEntry<ClusterPolicy>>, std::vector<PolicyEntry<PowerPolicy>>,
             std::vector<PolicyEntry<ScalingRule>>> all_;
};

/// A policy without parameters.
struct NoConfig {};
inline void describe(Describer&, NoConfig&) {}

}  // namespace orrery
