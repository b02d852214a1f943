// Amounts of different things do not add.
// expect: no match for .operator[+]|invalid operands to binary expression
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
auto sum = 1_tok + 1_B;
#else
auto sum = 1_tok + 1_tok;
#endif
