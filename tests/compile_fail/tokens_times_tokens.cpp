// A product of token counts is no token count (query-key pairs are computed from plain values).
// expect: no match for .operator[*]|invalid operands to binary expression
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
auto product = 3_tok * 2_tok;
#else
auto scaled = 3_tok * 2;
#endif
