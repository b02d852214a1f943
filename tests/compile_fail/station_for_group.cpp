// Entities of different kinds have different numbers.
// expect: no match for .operator==|invalid operands to binary expression
#include "sim/call.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
bool same = StationId{1} == GroupId{1};
#else
bool same = StationId{1} == StationId{1};
#endif
