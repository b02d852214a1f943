/// Which mutation of the engine is on, in the build that tests/mutation makes of it; 0: none.
#pragma once

namespace orrery {
extern int g_mutation;
}  // namespace orrery
