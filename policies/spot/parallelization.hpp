/// The parallelisation controller of SpotServe (Miao et al., ASPLOS'24; authors' code, branch artifact):
/// among the ways to split the model over the devices that are there, the one with the lowest latency that carries the
/// load, or the one that carries most.
///
/// A shape (tensor degree T, pipeline degree P, batch B) is used by D = floor(devices / TP) pipelines. Its latency
/// l(D,P,M,B) is that of a batch of B requests of fixed length, in M1 micro-batches for the prompts and M2 for the
/// tokens (powers of two up to B, each chosen for itself):
///   t1 = prompt(B / M1) * (P + M1 - 1) / M1 + hop1 * (P - 1) / M1
///   t2 = token(B / M2) * (P + M2 - 1) + hop2 * (P - 1) / M2
///   l = t1 + t2 * output tokens + what the first and the last stage take besides (embeddings)
/// prompt(b) and token(b): time of a stage, from the cost model of the pool, as SpotServe takes it from a profile made
/// beforehand. It carries phi = D * B / l.
/// The division of t1 by M1 is the artifact's: a batch of B costs what B / M1 of them do.
#pragma once

#include <span>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/cost.hpp"

namespace orrery {

struct PipelineShape {
  int tp = 1, pp = 1, batch = 1;
  const CostModel* cost = nullptr;
  int most = 1 << 20;              ///< instances at most

  int devices() const { return tp * pp; }
};

struct RequestShape { Tokens prompt, output; };

Duration latency(const PipelineShape& shape, const RequestShape& request);

struct Choice {
  int shape = -1, instances = 0;   ///< -1: not even one instance fits
  Duration latency{};
  double rate = 0;                 ///< requests a second that it carries

  friend bool operator==(const Choice& a, const Choice& b) { return a.shape == b.shape && a.instances == b.instances; }
};

/// `latencies` as of `shapes`. Ties: fewer devices, then the earlier shape.
Choice choose_shape(std::span<const PipelineShape> shapes, std::span<const Duration> latencies, int devices,
                    double rate);

}  // namespace orrery
