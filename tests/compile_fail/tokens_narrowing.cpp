// A wide count goes into a narrow one only through narrow<>().
// expect: to non-scalar type|no viable conversion
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
Tokens32 n = 1_tok;
#else
Tokens32 n = narrow<Tokens32>(1_tok);
#endif
