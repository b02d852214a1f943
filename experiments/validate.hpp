/// The verb `validate`: a real run beside the simulation, on the same machine and in the same process.
///
///   int code = validate_verb({.config = "validate-cpu.json", .backend = "cpu"}, out, err);   // 0: agree, or too noisy
///
/// Attempts are repeated: the first that passes is the answer; two that fail are a failure (exit code 2); three that
/// are too noisy to tell are reported as skipped (0). /validate/loads and /validate/batching make several comparisons,
/// all of which must pass. Where the config names a hardware model, its predictions must, too, and `record` writes into
/// that model's file what passed (hwmodels/validation.hpp).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace orrery {

struct ValidateOptions {
  std::string config, backend = "cpu";
  std::vector<std::string> sets, plugins;
  bool json = false, record = false;
};

int validate_verb(const ValidateOptions& options, std::ostream& out, std::ostream& err);

}  // namespace orrery
