// A slot of one table does not name an entry of another.
// expect: to non-scalar type|no viable conversion
#include "sim/call.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
CallId call = NodeId{3, 1};
#else
CallId call = CallId{3, 1};
#endif
