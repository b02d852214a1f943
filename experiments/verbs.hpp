/// The verbs that look and do not run: check, cost, policies, schema.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace orrery {

struct CheckOptions {
  std::string config;
  std::vector<std::string> sets, plugins;
  bool json = false;
};

/// What a config resolves to: weights, KV blocks, floor of a step, calibrated range, price.
int check_verb(const CheckOptions& options, std::ostream& out);

struct CostOptions {
  std::string hardware, op, predict;
  std::vector<std::string> sets;              ///< "k=v,k=v"
  bool crossovers = false, json = false;
};

/// The time of one operator, its rate, grade and interval.
int cost_verb(const CostOptions& options, std::ostream& out);

/// Those that ship and those of `plugins` ("NAME=PATH"); with a name, that one and its parameters.
int policies_verb(const std::string& name, const std::vector<std::string>& plugins, bool json, std::ostream& out);

/// JSON schema (draft 2020-12) of the run config.
int schema_verb(const std::string& kind, std::ostream& out);

}  // namespace orrery
