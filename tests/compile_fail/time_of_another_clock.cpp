// Simulated instants and those of the wall clock do not mix.
// expect: no match for .operator-|invalid operands to binary expression
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
auto d = std::chrono::steady_clock::now() - Time{};
#else
auto d = Time{Duration{1}} - Time{};
#endif
