// For the test of check.cmake: fails for a reason that was not meant.
// expect: no match
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
auto sum = misspelt + 1_tok;
#else
auto sum = 1_tok + 1_tok;
#endif
