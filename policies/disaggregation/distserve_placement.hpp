/// Where DistServe puts its phases (Zhong et al., OSDI'24, section 4.1 and 4.2): how many devices prefill and decode
/// instances have, split how, and how many of them there are, so that the rate within the SLO is largest per device.
/// Goodputs come from an oracle, in the paper and here a simulation.
///
/// Algorithm 1 (high node affinity: any device reaches any other fast). Both phases are searched alone, over every
/// tensor-parallel degree within a node and every pipeline depth; each takes the split with the largest goodput a
/// device; instances are replicated for the rate that is asked for, or so that a given number of devices serves most.
/// Algorithm 2 (low node affinity: KV must stay inside nodes). A prefill and a decode instance are a pair with the same
/// number of stages across nodes; every stage's devices of both share a node. Pairs are simulated together.
///
///   PhasePlan plan = place_apart({.gpus = 32, .gpus_per_node = 8, .layers = 40, .heads = 40}, oracle);
///
/// O(N M) oracle questions for algorithm 1 with N nodes of M devices, O(N M^2) at most for algorithm 2, where a pair is
/// asked about only if its slower phase alone would beat the best pair so far. Ties go to fewer devices, then to less
/// tensor parallelism.
#pragma once

#include <cstdint>
#include <vector>

namespace orrery {

struct PhaseSplit {
  int tp = 1, pp = 1;
  int gpus() const { return tp * pp; }
  friend bool operator==(const PhaseSplit&, const PhaseSplit&) = default;
  friend auto operator<=>(const PhaseSplit&, const PhaseSplit&) = default;
};

/// Requests a second within the SLO. 0: does not fit, or no rate holds.
class GoodputOracle {
 public:
  virtual ~GoodputOracle() = default;
  virtual double prefill(PhaseSplit) = 0;                     ///< of one prefill instance, decoding left out
  virtual double decode(PhaseSplit) = 0;                      ///< of one decode instance, prefill left out
  virtual double pair(PhaseSplit prefill, PhaseSplit decode) = 0;   ///< of one of each, together
};

struct PlacementSpace {
  int gpus = 8, gpus_per_node = 8;
  std::int64_t layers = 1, heads = 1;    ///< of the model: pp divides the one, tp the other
  double rate = 0;                       ///< requests a second to be served; 0: as many as the devices can
};

struct PhasePlan {
  PhaseSplit prefill, decode;
  int prefills = 0, decodes = 0;         ///< instances; 0: nothing fits
  double goodput = 0;                    ///< of all of them, requests a second
  bool paired = false;                   ///< decode instance i takes what prefill instance i computed
  int gpus() const { return prefills * prefill.gpus() + decodes * decode.gpus(); }
  double per_gpu() const { return gpus() > 0 ? goodput / gpus() : 0; }
};

/// Splits of at most `gpus` devices, stages multiplied by `stages_apart`, that the model allows.
std::vector<PhaseSplit> feasible_splits(const PlacementSpace& space, int gpus, int stages_apart = 1);

PhasePlan place_apart(const PlacementSpace& space, GoodputOracle& oracle);    ///< algorithm 1
PhasePlan place_paired(const PlacementSpace& space, GoodputOracle& oracle);   ///< algorithm 2

}  // namespace orrery
