/// The deployment of a run whose steps a real engine runs (--executor cpu|cuda): the model on a device instead of a
/// cost model. What a step takes is measured on the device's clock.
///
///   DeploymentParts d = make_live_deployment("cpu", config, policies, errors);   // d.device: null after errors
#pragma once

#include <string>

#include "experiments/deployment.hpp"

namespace orrery {

/// `policies`: what /policy came to. Throws ConfigError for an executor that this build does not have, with the reason.
DeploymentParts make_live_deployment(const std::string& executor, const RunConfig& config, const Value& policies,
                                     ErrorList& errors);

/// "AMD EPYC 9654", as the system calls the processor; "unknown processor".
std::string processor_name();

}  // namespace orrery
