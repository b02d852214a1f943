#include "policies/order/edf.hpp"

namespace orrery {

std::int64_t Edf::key(CallId, const Call& call, const Progress&, const StationView*) const {
  return to_ps(call.deadline);
}

}  // namespace orrery
