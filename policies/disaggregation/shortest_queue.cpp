#include "policies/disaggregation/shortest_queue.hpp"

#include "policies/disaggregation/least.hpp"

namespace orrery {

Placement ShortestQueue::route(CallId, Cluster& cluster, Rng) {
  const StationId prompt = least(
      cluster, [](const Instance& x) { return x.role != Role::kDecode; },
      [](const Instance& x) { return x.load->prompt_tokens; });
  if (!prompt.valid()) return Placement::hold();
  return cluster.instance(prompt).role == Role::kMixed ? Placement::at(prompt) : Placement::split(prompt, StationId{});
}

StationId ShortestQueue::decode_at(CallId, StationId at, const Cluster& cluster, Rng) {
  const StationId decode = least(
      cluster, [](const Instance& x) { return x.role == Role::kDecode; },
      [](const Instance& x) { return x.load->tokens + x.inbound_tokens; });
  if (decode.valid()) return decode;
  return cluster.instance(at).role == Role::kMixed ? at : StationId{};
}

}  // namespace orrery
