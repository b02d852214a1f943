// Time is exact: a fraction of a second goes through from_seconds().
// expect: to non-scalar type|no viable conversion
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
Duration d = 1.5s;
#else
Duration d = from_seconds(1.5);
#endif
