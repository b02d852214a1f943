/// Where the time of replicas goes: host, collectives, swapping, and for the rest whether an iteration waits for memory
/// or for arithmetic, whichever takes longer at the device's peak (the roofline; Williams et al., CACM 2009). Exact:
/// the parts of a step add up to its time in picoseconds, and k iterations told at once give what k single ones give.
///
///   StepTimes times;   const int kind = times.kind_of({.peak_flops = 989e12, .peak_bytes = 4.8e12, .cost = &model});
///   times.add(kind, shape, 0, k, run, StepTimes::Work::of(run, k));   // 2 ns; 20 more where there are collectives
///   TimeShares s = times.shares(there);
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/cost.hpp"

namespace orrery {

/// Shares of the time for which replicas were there; all but `roofline` and the last two add up to 1.
struct TimeShares {
  double idle = 0, host = 0, network = 0, swap = 0;
  double memory = 0, compute = 0;   ///< iterations that wait for memory, for arithmetic; without the parts above
  double unknown = 0;               ///< of steps whose arithmetic and traffic nobody knows: measured and profiled ones
  double lost = 0;                  ///< of steps that never ended: their instance stopped
  double roofline = 0;              ///< of the time of all steps, what they would take at the device's peaks
  double decode_memory = 0;         ///< of memory + compute, the share of memory: of steps that only decode
  double prompt_memory = 0;         ///< the same of steps with prompt tokens
};

/// FLOPs a byte above which arithmetic takes longer than memory, as flops / 2^shift of a whole number of ten bits: to a
/// part in 500, so that 64 bits are enough at every step.
struct Ridge {
  std::int64_t flops = 0;        ///< 0: not known
  int shift = 0;
  static Ridge of(double peak_flops, double peak_bytes);
};

/// Of the first k iterations those that wait for memory stand at one end: how many, and whether they come first. An
/// iteration waits for memory if its FLOPs a byte are at most the ridge; FLOPs and bytes grow along lines.
struct MemoryBound {
  std::int64_t count;
  bool first;
};
MemoryBound first_or_last(std::int64_t at_first, std::int64_t slope, std::int64_t k);   ///< where the sign changes

inline MemoryBound memory_bound(const StepRun& run, std::int64_t k, Ridge ridge) {
  const std::int64_t at_first = run.bytes * ridge.flops - (run.flops << ridge.shift);
  if (k == 1) return {at_first >= 0, true};
  const std::int64_t slope = run.bytes_step * ridge.flops - (run.flops_step << ridge.shift);
  if (at_first >= 0 && slope >= 0) return {k, true};
  return first_or_last(at_first, slope, k);
}

class StepTimes {
 public:
  /// Replicas that are alike. `peak_*`: of a whole replica, a second; 0: not known. `cost`: to tell collectives and
  /// swapping apart; null: they count with the rest. Not owned.
  struct Kind {
    double peak_flops = 0, peak_bytes = 0;
    int stages = 1;
    const CostModel* cost = nullptr;
    friend bool operator==(const Kind&, const Kind&) = default;
  };

  /// Sums over the k iterations of a run.
  struct Work {
    std::int64_t time;             ///< ps
    Wide flops, bytes;
    static Work of(const StepRun& run, std::int64_t k) {
      if (k == 1) return {to_ps(run.first), run.flops, run.bytes};
      const std::int64_t pairs = k * (k - 1) / 2;
      return {to_ps(run.total(k)), static_cast<Wide>(run.flops) * k + static_cast<Wide>(run.flops_step) * pairs,
              static_cast<Wide>(run.bytes) * k + static_cast<Wide>(run.bytes_step) * pairs};
    }
  };

  int kind_of(const Kind& kind);   ///< equal ones share a number
  /// A step, or one stage of it, has ended after k iterations, which came to `work`.
  void add(int kind, const StepShape& shape, int stage, std::int64_t k, const StepRun& run, const Work& work);
  /// The same of one iteration.
  void add_one(int kind, const StepShape& shape, int stage, const StepRun& run);
  void add_lost(int kind, std::int64_t time) { parts_[static_cast<std::size_t>(kind)].lost += time; }

  /// `there`: ps, summed over replicas.
  TimeShares shares(Wide there) const;
  double host_s() const;
  double swap_s() const;           ///< by how much longer steps took because KV went to host memory or came from there
  Bytes host_in() const { return host_in_; }   ///< of KV, of all steps
  Bytes host_out() const { return host_out_; }

 private:
  struct Bound {
    Wide memory = 0, compute = 0;  ///< ps, of all stages
    Wide bytes = 0, flops = 0;     ///< of the iterations that wait for memory, of those that wait for arithmetic
  };
  struct Parts {
    Wide host = 0, network = 0, swap = 0, unknown = 0, lost = 0;
    Bound of[2];                   ///< steps that only decode; with prompt tokens
  };
  struct Rates {
    Ridge ridge;
    bool collective;
  };

  /// Ps of one iteration that belong to collectives and to swapping.
  std::int64_t moving(int kind, const StepShape& shape, int stage, std::int64_t k, const StepRun& run);
  void add_split(Bound& b, const MemoryBound& m, std::int64_t apart, std::int64_t k, const StepRun& run);

  Bytes host_in_, host_out_;
  std::vector<Kind> kinds_;
  std::vector<Rates> rates_;
  std::vector<Parts> parts_;
};

inline void StepTimes::add_one(int kind, const StepShape& shape, int stage, const StepRun& run) {
  const auto i = static_cast<std::size_t>(kind);
  const Rates& rates = rates_[i];
  Parts& p = parts_[i];
  std::int64_t apart = to_ps(run.host);
  add_to(p.host, apart);
  if (rates.collective || (shape.host_in.value() | shape.host_out.value()) != 0)
    apart += moving(kind, shape, stage, 1, run);
  const std::int64_t device = to_ps(run.first) - apart;
  if (rates.ridge.flops == 0 || (run.flops | run.bytes) == 0) {
    p.unknown += device;   // below 0 where a model rounds a step to less than its host time
    return;
  }
  Bound& b = p.of[shape.prefill > Tokens{}];
  if (memory_bound(run, 1, rates.ridge).count == 1) {
    b.memory += device;
    add_to(b.bytes, run.bytes);
  } else {
    b.compute += device;
    add_to(b.flops, run.flops);
  }
}

inline void StepTimes::add(int kind, const StepShape& shape, int stage, std::int64_t k, const StepRun& run,
                           const Work& work) {
  const auto i = static_cast<std::size_t>(kind);
  const Rates& rates = rates_[i];
  Parts& p = parts_[i];
  std::int64_t apart = to_ps(run.host);   // of an iteration
  p.host += apart * k;
  if (rates.collective || (shape.host_in.value() | shape.host_out.value()) != 0)
    apart += moving(kind, shape, stage, k, run);
  const std::int64_t device = work.time - apart * k;
  if (rates.ridge.flops == 0 || (run.flops | run.bytes) == 0) {
    p.unknown += device;
    return;
  }
  const MemoryBound m = memory_bound(run, k, rates.ridge);
  Bound& b = p.of[shape.prefill > Tokens{}];
  if (m.count == k) {
    b.memory += device;
    b.bytes += work.bytes;
  } else if (m.count == 0) {
    b.compute += device;
    b.flops += work.flops;
  } else {
    add_split(b, m, apart, k, run);
  }
}

}  // namespace orrery
