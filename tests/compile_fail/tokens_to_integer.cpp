// A count gives up its unit only through value().
// expect: cannot convert|no viable conversion
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
std::int64_t n = 1_tok;
#else
std::int64_t n = (1_tok).value();
#endif
