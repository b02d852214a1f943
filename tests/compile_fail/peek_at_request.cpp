// What a policy is given leads to no Request, where the true output length is.
// expect: no member named .request|has no member named .request
#include "sim/policy.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
Tokens seen(const StationView& view, CallId id) { return view.call(id).request->output_tokens; }
#else
Tokens seen(const StationView& view, CallId id) { return view.call(id).prompt; }
#endif
