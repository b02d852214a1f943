// Amounts of different things do not compare.
// expect: no match for .operator<|invalid operands to binary expression
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
bool less = 1_tok < 2_blk;
#else
bool less = 1_blk < 2_blk;
#endif
