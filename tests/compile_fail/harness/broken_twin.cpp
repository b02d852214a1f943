// For the test of check.cmake: neither half compiles.
// expect: no match
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
auto sum = 1_tok + 1_B;
#else
auto sum = 1_tok + 1_B;
#endif
