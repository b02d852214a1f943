// Nor has the progress of a call.
// expect: has no member named .output_tokens|no member named .output_tokens
#include "sim/policy.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
Tokens seen(const StationView& view, CallId id) { return view.progress(id).output_tokens; }
#else
Tokens seen(const StationView& view, CallId id) { return view.progress(id).emitted; }
#endif
