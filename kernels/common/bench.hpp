/// What the benchmarks of the operators share: random inputs, and the achieved rate beside the time. Times are of the
/// thread's own CPU clock, so that neighbours do not count.
///
///   void bench_gemm(benchmark::State& state) {
///     for (auto _ : state) gemm(args);
///     report_rates(state, flops, bytes, per_second);          // of one iteration
///   }
///   BENCHMARK(bench_gemm)->...
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/common/scalar.hpp"
#include "sim/base/rng.hpp"

namespace orrery {

template <class T>
std::vector<T> bench_input(std::size_t n, std::uint64_t salt) {
  Rng rng(1, Purpose::kWeights, salt);
  std::vector<T> x(n);
  for (T& v : x) v = to<T>(static_cast<Accum<T>>(rng.uniform() - 0.5));
  return x;
}

/// Counters FLOP/s and B/s. A template, so that the header needs no benchmark library.
template <class State, class Counter>
void report_rates(State& state, double flops, double bytes, Counter rate) {
  if (flops > 0) state.counters["FLOP"] = rate(flops);
  if (bytes > 0) state.counters["B"] = rate(bytes);
}

}  // namespace orrery
