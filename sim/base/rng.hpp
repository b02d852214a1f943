/// Counter-based random numbers: a draw is a pure function of (seed, purpose, entity, index), so it does not depend on
/// the order of events, on other draws, or on the number of workers. One draw is two rounds of a 64-bit mixer (~2 ns).
///
///   Rng rng(seed, Purpose::kArrival, request_number);
///   double u = rng.uniform();          // in [0, 1), 53 bits
///
/// Mixer: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA'14, fig. 17; variant 13 of Stafford).
#pragma once

#include <cstdint>

namespace orrery {

/// What a stream of random numbers is for; the numbers are part of every fingerprint and are never reused.
enum class Purpose : std::uint32_t {
  kArrival = 1, kLength = 2, kPredictor = 3, kRouter = 4, kThink = 5, kPrefix = 6, kSession = 7, kResample = 8,
  kModelError = 9, kTenant = 10, kFault = 11, kPolicy = 12, kFuzz = 13, kWeights = 14, kClass = 15, kModel = 16,
};

constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// Folds `value` into `hash`; order matters. For fingerprints, not for hash tables of untrusted keys.
constexpr std::uint64_t hash_combine(std::uint64_t hash, std::uint64_t value) {
  return mix64(hash * 0x9e3779b97f4a7c15ull + value);
}

class Rng {
 public:
  constexpr Rng(std::uint64_t seed, Purpose purpose, std::uint64_t entity)
      : key_(hash_combine(mix64(seed + 0x9e3779b97f4a7c15ull * static_cast<std::uint32_t>(purpose)), entity)) {}

  constexpr std::uint64_t next() { return mix64(key_ + 0x9e3779b97f4a7c15ull * ++count_); }
  /// In [0, 1), a multiple of 2^-53.
  constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// In (0, 1], safe for a logarithm.
  constexpr double uniform_positive() { return (static_cast<double>(next() >> 11) + 1.0) * 0x1p-53; }
  /// In [0, n), unbiased to 2^-64 (multiply-shift).
  constexpr std::uint64_t below(std::uint64_t n) {
    __extension__ typedef unsigned __int128 Wide128;
    return static_cast<std::uint64_t>((static_cast<Wide128>(next()) * n) >> 64);
  }

 private:
  std::uint64_t key_;
  std::uint64_t count_ = 0;
};

}  // namespace orrery
