#include "hwmodels/engine.hpp"

#include "hwmodels/catalogue.hpp"

namespace orrery {
namespace {

double number_or(const Value& v, std::string_view key, double otherwise) {
  const Value* found = v.find(key);
  if (found == nullptr) return otherwise;
  if (!(found->as_double() >= 0)) throw ConfigError(found->where() + ": expected a number that is not negative");
  return found->as_double();
}

}  // namespace

HostTerms host_terms_from_json(const Value& host) {
  HostTerms h;
  h.step_s = number_or(host, "step_us", 0) * 1e-6;
  h.per_sequence_s = number_or(host, "per_sequence_us", 0) * 1e-6;
  h.launch_per_layer_s = number_or(host, "launch_per_layer_us", 0) * 1e-6;
  h.elementwise_s = number_or(host, "elementwise_us", 1.5) * 1e-6;
  h.elementwise_kernels = static_cast<int>(number_or(host, "elementwise_kernels", 5));
  h.elementwise_bytes_per_s = number_or(host, "elementwise_gb_per_s", 0) * 1e9;
  h.source = host.at("source").as_string();
  return h;
}

EnginePreset engine_from_json(const Value& v) {
  EnginePreset e;
  e.name = v.at("name").as_string();
  e.host = host_terms_from_json(v.at("host"));
  if (const Value* memory = v.find("memory")) {
    e.activation_bytes_per_token = number_or(*memory, "activation_bytes_per_token", 0);
    e.reserved_bytes = number_or(*memory, "reserved_gb", 0) * 1e9;
  }
  if (const Value* list = v.find("not_modelled")) {
    for (const Value& item : list->items()) e.not_modelled.push_back(item.as_string());
  }
  if (const Value* settings = v.find("settings")) e.settings = *settings;
  return e;
}

EnginePreset load_engine(std::string_view name, const std::vector<std::string>& folders) {
  const CatalogueEntry entry = find_entry(Catalogue::kEngines, name, folders);
  EnginePreset e = engine_from_json(entry.value);
  e.origin = entry.origin;
  return e;
}

}  // namespace orrery
