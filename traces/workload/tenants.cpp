#include "traces/workload/parts.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/rng.hpp"
#include "traces/tenant_source.hpp"

namespace orrery {
namespace {

/// The names, also to `info`; false if there was an error.
bool read_tenant_names(WorkloadContext& c, const Value& list) {
  const std::size_t before = c.errors.lines().size();
  if (!list.is_array() || list.items().empty() || list.items().size() > 60000) {
    c.errors.add(list.pointer(), "expected an array like [{\"name\": \"web\", \"share\": 0.7}, ...]");
    return false;
  }
  std::vector<std::string> names{""};
  for (const Value& item : list.items()) {
    const Value* name = item.is_object() ? item.find("name") : nullptr;
    const std::string pointer = item.pointer() + (item.is_object() ? "/name" : "");
    if (name == nullptr || !name->is_string() || name->as_string().empty())
      c.errors.add(pointer, "a tenant needs a name");
    else if (std::find(names.begin(), names.end(), name->as_string()) != names.end())
      c.errors.add(pointer, "another tenant has this name");
    else names.push_back(name->as_string());
  }
  c.info.tenants = names;
  return c.errors.lines().size() == before;
}

std::vector<double> read_shares(WorkloadContext& c, const Value& list) {
  std::vector<double> shares;
  double sum = 0;
  for (const Value& item : list.items()) {
    ObjectReader in(item, c.errors);
    double share = 0;
    in.take("name");
    in.require("share");
    in.number("share", share, {0, 1e9});
    in.finish();
    sum += shares.emplace_back(share);
  }
  if (!(sum > 0)) c.errors.add(list.pointer(), "the shares must be more than 0 together");
  return shares;
}

/// A stream a tenant, each a generated workload of its own with its own random numbers.
std::unique_ptr<RequestSource> tenant_streams(WorkloadContext& c, ObjectReader& in, const Value& list,
                                              const Value& workload) {
  for (const char* key : {"arrival", "lengths", "sessions", "prefixes", "scale", "window"}) {
    if (in.take(key) != nullptr) in.error(key, "has no meaning where each of the tenants has its own arrivals");
  }
  std::int64_t requests = kDefaultRequests;
  in.integer("requests", requests, {1, 1e15});
  in.finish();
  std::vector<std::unique_ptr<RequestSource>> streams;
  ResolvedInfo& info = c.info;
  double prompt = 0, output = 0;
  bool bounded = true;
  for (std::size_t i = 0; i < list.items().size(); ++i) {
    Value own = list.items()[i];
    const std::string name = own.at("name").as_string();
    own.erase("name");
    if (own.find("requests") == nullptr) own["requests"] = requests;
    own.anchor(list.items()[i].pointer());
    ErrorList errors;
    errors.elsewhere = c.errors.elsewhere;
    ResolvedInfo part;
    WorkloadContext stream{hash_combine(c.seed, i + 1), c.path, errors, part};
    ObjectReader reader(own, errors);
    try {
      streams.push_back(generated_workload(stream, reader, own));
    } catch (const ConfigError& e) {
      c.errors.add(e);
      continue;
    }
    info.summary += (info.summary.empty() ? "" : "; ") + name + ": " + part.summary.substr(0, part.summary.rfind(", "));
    info.inputs.insert(info.inputs.end(), part.inputs.begin(), part.inputs.end());
    info.notes.insert(info.notes.end(), part.notes.begin(), part.notes.end());
    info.rate += part.rate;
    info.steady = info.steady && part.steady;
    info.shares_prefixes = info.shares_prefixes || part.shares_prefixes;
    const double weight = part.rate > 0 ? part.rate : 1;
    prompt += weight * part.mean_prompt;
    output += weight * part.mean_output;
    bounded = bounded && part.longest_total > 0;
    info.longest_prompt = std::max(info.longest_prompt, part.longest_prompt);
    info.longest_total = std::max(info.longest_total, part.longest_total);
  }
  c.errors.throw_if_any();
  if (!bounded) info.longest_prompt = info.longest_total = 0;
  const double weights = info.rate > 0 ? info.rate : static_cast<double>(streams.size());
  info.mean_prompt = prompt / weights;
  info.mean_output = output / weights;
  info.workload = workload;
  info.workload["requests"] = requests;
  info.requests = requests;
  info.random = true;
  info.summary += ", " + std::to_string(requests) + " requests";
  return std::make_unique<TenantStreams>(std::move(streams), requests);
}

}  // namespace

std::unique_ptr<RequestSource> tenant_workload(WorkloadContext& c, ObjectReader& in, const Value& list,
                                               const Value& workload) {
  if (!read_tenant_names(c, list)) c.errors.throw_if_any();
  const std::vector<std::string> names = c.info.tenants;
  const bool shared = std::any_of(list.items().begin(), list.items().end(),
                                  [](const Value& t) { return t.find("share") != nullptr; });
  if (!shared) return tenant_streams(c, in, list, workload);
  std::vector<double> shares = read_shares(c, list);
  auto source = generated_workload(c, in, workload);
  c.info.summary += " of " + std::to_string(shares.size()) + " tenants";
  return std::make_unique<DrawnNames>(std::move(source), shares, c.seed, Purpose::kTenant, &Request::tenant);
}

}  // namespace orrery
