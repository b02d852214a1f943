#include "policies/order/fcfs.hpp"

namespace orrery {

std::int64_t Fcfs::key(CallId, const Call& call, const Progress&, const StationView*) const {
  return to_ps(call.arrival);
}

}  // namespace orrery
