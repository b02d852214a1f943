/// The `workload` block of a config as a source of requests. Everything that is wrong with it is told at once, each
/// error with its JSON pointer; traces are checked row by row (file:line).
///
///   "workload": { "arrival": {"process": "poisson", "rate": "12/s"}, "lengths": "azure-conv-2023", "requests": 20000 }
///   "workload": { "trace": "prod.csv", "window": "14:00..15:00", "scale": {"factor": 3, "method": "resample"} }
///
///   ResolvedInfo info;
///   auto source = make_source(config.at("workload"), seed, {{"~/study"}}, info);   // throws ConfigError
///
///   "workload": { "tenants": [ {"name": "a", "share": 3}, {"name": "b", "share": 1} ], "arrival": ..., ... }
///   "workload": { "tenants": [ {"name": "a", "arrival": ..., "lengths": ...}, ... ], "requests": 900 }   a stream each
///
///   "workload": { "models": {"count": 32, "zipf": 1}, "arrival": ..., "lengths": ... }   model k in proportion to k^-1
///
/// Keys: arrival, lengths, requests, trace, scale, window, sessions, prefixes, tenants, models (docs in
/// workload/parts.hpp, one reader each).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/config/reader.hpp"
#include "sim/config/search_path.hpp"
#include "sim/config/value.hpp"
#include "sim/request.hpp"

namespace orrery {

/// What the block came to: for config.json, `orrery check` and the names behind a request's small numbers.
struct ResolvedInfo {
  struct Input { std::string path, format; std::int64_t rows = 0; std::uint64_t content_hash = 0; };

  Value workload = Value::object();              ///< with every default filled in
  std::string summary;                           ///< "azure-conv-2023, poisson 12/s, 20000 requests"
  std::vector<std::string> tenants{""}, classes{""}, models{""};   ///< by Request::tenant, request_class, model
  std::vector<Input> inputs;                     ///< files read
  std::vector<std::string> notes;                ///< what a reader of the result should know
  std::int64_t requests = 0;                     ///< -1: known only at the end
  double rate = 0;                               ///< expected arrivals (or sessions) per second; 0: closed loop
  double mean_prompt = 0, mean_output = 0;       ///< expected tokens before clipping, history not counted
  std::int64_t longest_prompt = 0, longest_total = 0;   ///< tokens; 0: no bound known
  bool shares_prefixes = false;                  ///< prompts have stretches in common: turns, prefixes, hash_ids
  bool random = false;                           ///< the seed changes the requests
  bool steady = true;                            ///< arrivals follow no profile that changes their rate
};

std::unique_ptr<RequestSource> make_source(const Value& workload, std::uint64_t seed, const SearchPath& path,
                                           ResolvedInfo& out, KeyPlaces elsewhere = {});

}  // namespace orrery
