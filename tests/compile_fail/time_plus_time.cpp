// Two instants do not add.
// expect: no match for .operator[+]|invalid operands to binary expression
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
auto later = Time{} + Time{};
#else
auto later = Time{} + Duration{1};
#endif
