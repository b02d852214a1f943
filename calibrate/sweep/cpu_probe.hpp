/// What this processor cannot beat with the instructions that the CPU kernels use: multiply-adds in registers, and
/// reads from the first cache and from memory. One thread; thread CPU time; the best of several tries.
#pragma once

#include "calibrate/fit/table.hpp"
#include "sim/config/value.hpp"

namespace orrery {

SpeedOfLight probe_cpu();
Value cpu_fingerprint();       ///< processor, caches, memory, system, compiler, instruction set
double cpu_memory_bytes();

}  // namespace orrery
