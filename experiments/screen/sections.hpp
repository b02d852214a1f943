/// The sections of the screen, each from summary.json alone; "" where it does not apply. screen.cpp puts them in order.
#pragma once

#include <string>

#include "sim/config/value.hpp"

namespace orrery::screen {

std::string deployment_lines(const Value& s);   ///< metrics, model, placement, workload, policy, engine
std::string latency_table(const Value& s);      ///< TTFT to queue: targets, mean, percentiles, verdicts
std::string requests_line(const Value& s);
std::string rate_lines(const Value& s);         ///< goodput, throughput, cost
std::string state_line(const Value& s);
std::string power_lines(const Value& s);
std::string incident_lines(const Value& s);
std::string time_lines(const Value& s);         ///< where the time of replicas and of slow first tokens goes
std::string headroom_line(const Value& s);

}  // namespace orrery::screen
