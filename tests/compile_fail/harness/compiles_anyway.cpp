// For the test of check.cmake: both halves compile.
// expect: no match
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
auto sum = 1_tok + 2_tok;
#else
auto sum = 1_tok + 1_tok;
#endif
