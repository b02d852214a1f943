/// The sections of summary.json. Those named add_... write several keys of `out`, the others give the value of one.
#pragma once

#include <string>
#include <vector>

#include "experiments/result.hpp"

namespace orrery::summary {

/// All that one replication says, section by section.
Value body_of(const Replication& r, const RunResult& result);

/// `alone_s`: prefill time of one such prompt in a step of its own; negative: not known.
void add_latencies(Value& out, const Latencies& l, bool with_itl, double alone_s);
void add_experience(Value& out, const Experience& e);
void add_counts(Value& out, const ClassCounts& c, double window_s);
void add_times(Value& out, const TimeShares& t);
void add_charges(Value& out, double share, const Replication& r);

Value requests(const Summary& s);
Value throughput(const Summary::Throughput& t);
Value slo(const Summary& s, const std::vector<std::string>& classes);
Value kv(const Summary& s, const DeploymentFacts& d);
Value tokens(const Summary& s);
Value trust(const Summary& s, const DeploymentFacts& d);
Value headroom(const Summary& s, const DeploymentFacts& d);
Value power(const std::vector<PowerResult>& domains);
Value charged_class(const Replication& r, std::size_t index);
Value tenants(const Replication& r);
Value cold_starts(const ColdStarts& c);

Value strings(const std::vector<std::string>& list);
Value provenance_of(const RunResult& r);
Value deployment_of(const DeploymentFacts& d);
Value simulator_of(const RunResult& r);

}  // namespace orrery::summary
