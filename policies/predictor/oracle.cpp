#include "policies/predictor/oracle.hpp"

namespace orrery {

void describe(Describer& d, OracleConfig& c) { d.field("cost", c.cost, {0, 60}, "Time a prediction takes"); }

}  // namespace orrery
