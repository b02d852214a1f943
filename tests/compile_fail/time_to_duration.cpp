// An instant is no length of time.
// expect: to non-scalar type|no viable conversion
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
Duration d = Time{Duration{1}};
#else
Duration d = Time{Duration{1}} - Time{};
#endif
