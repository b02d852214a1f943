/// Instances that fail. Until that is noticed an instance looks as it did: calls are sent there and wait in vain.
#include <algorithm>

#include "sim/engine/cluster.hpp"

namespace orrery {

void ClusterEngine::fail(StationId s, Duration detect, Move calls) {
  Instance& x = at(s);
  if (x.phase == Phase::kOff || x.phase == Phase::kGone) return;
  const auto index = static_cast<std::size_t>(s.index);
  broken_[index] = 1;
  hurt_[index] += x.load->calls + outbound_[index];
  act(acting_, "fail", s, nullptr, to_ps(detect));
  if (detect == Duration{} || !x.runs()) return stop(s, calls);
  std::vector<CallId> lost;
  host_->station(s).kill(now_, lost);
  stop_journeys(s, lost);
  hung_[index] = ++failures_;
  std::sort(lost.begin(), lost.end(), [&](CallId a, CallId b) { return call(a).number < call(b).number; });
  for (const CallId id : lost) {
    unexpect(id);
    reset(id, calls);
    strand(id, s);
  }
  host_->touch(s);
  push(now_ + detect, Event::kDetect, static_cast<std::uint64_t>(s.index), hung_[index]);
}

/// To an instance, which may have failed without anybody knowing.
void ClusterEngine::deliver(CallId id, StationId s) {
  if (!hung(s)) return host_->send(id, s, now_);
  ++hurt_[static_cast<std::size_t>(s.index)];
  strand(id, s);
}

bool ClusterEngine::book(StationId s, Tokens from, Tokens to) {
  return !hung(s) && host_->station(s).book(from, to, now_);
}

void ClusterEngine::strand(CallId id, StationId s) {
  run_->calls.secret(id).station = s;
  journey(id).at = journey(id).to = s;
  host_->station(s).strand(id, now_);
  stranded_[static_cast<std::size_t>(s.index)].push_back(id);
}

/// `id` is not listed any more.
void ClusterEngine::unstrand(CallId id, StationId s) { host_->station(s).unstrand(id, now_); }

/// It is known now that the instance has failed, or it has been stopped: whoever waited there is lost with it.
void ClusterEngine::take_stranded(StationId s, std::vector<CallId>& lost) {
  const auto index = static_cast<std::size_t>(s.index);
  hung_[index] = 0;
  for (const CallId id : stranded_[index]) {
    unstrand(id, s);
    run_->calls.secret(id).station = {};
    lost.push_back(id);
  }
  stranded_[index].clear();
}

}  // namespace orrery
