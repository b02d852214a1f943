/// The clock of the CPU backend: CPU time of the calling thread, so that neighbours' work on the same processors does
/// not count (their use of caches and clock rate still does).
#pragma once

#include <ctime>

namespace orrery {

inline double thread_cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace orrery
