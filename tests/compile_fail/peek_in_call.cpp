// A policy sees calls, and a call has no true output length.
// expect: has no member named .output_tokens|no member named .output_tokens
#include "sim/policy.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
Tokens seen(const StationView& view, CallId id) { return view.call(id).output_tokens; }
#else
Tokens seen(const StationView& view, CallId id) { return view.call(id).max_tokens; }
#endif
