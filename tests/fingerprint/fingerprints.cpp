/// Prints the fingerprint of each of the fuzz's first N scenarios (default 500), fast-forwarded and stepped: one line
/// each. Equal in every build of it: check.sh compares compilers and optimisation levels. Beside compare.sh, which
/// runs whole configs through the program, this one draws on every policy, KV rule and mechanism of the engine.
///
///   orrery_fingerprints 1000 > out.txt
#include <cstdio>
#include <cstdlib>

#include "tests/differential/fuzz.hpp"
#include "tests/twin/engine_run.hpp"

int main(int argc, char** argv) {
  const long count = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 500;
  for (long i = 0; i < count; ++i) {
    const orrery::Scenario s = orrery::random_scenario(1, static_cast<std::uint64_t>(i));
    unsigned long long prints[2];
    for (const bool fast_forward : {true, false})
      prints[fast_forward] = run_engine(s, {.fast_forward = fast_forward, .verify = false}).outcome.fingerprint;
    std::printf("%ld %016llx %016llx\n", i, prints[1], prints[0]);
    if (prints[0] != prints[1]) {
      std::fprintf(stderr, "scenario %ld: stepping gives another fingerprint\n", i);
      return 1;
    }
  }
}
