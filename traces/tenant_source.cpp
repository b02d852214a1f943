#include "traces/tenant_source.hpp"

#include <algorithm>

namespace orrery {
namespace {

constexpr std::uint64_t kSessions = std::uint64_t{1} << 63;   ///< sessions draw apart from requests

}  // namespace

DrawnNames::DrawnNames(std::unique_ptr<RequestSource> source, const std::vector<double>& shares, std::uint64_t seed,
                       Purpose purpose, std::uint16_t Request::* name)
    : source_(std::move(source)), seed_(seed), purpose_(purpose), name_(name) {
  double sum = 0, all = 0;
  for (const double s : shares) all += s;
  for (const double s : shares) up_to_.push_back((sum += s) / all);
  up_to_.back() = 1;
}

void DrawnNames::pop(Request& out) {
  source_->pop(out);
  Rng rng(seed_, purpose_, out.session != 0 ? kSessions | out.session : out.number);
  const auto at = std::upper_bound(up_to_.begin(), up_to_.end() - 1, rng.uniform());
  out.*name_ = static_cast<std::uint16_t>(at - up_to_.begin() + 1);
}

std::size_t TenantStreams::next() const {
  std::size_t first = 0;
  for (std::size_t i = 1; i < streams_.size(); ++i)
    if (streams_[i]->peek() < streams_[first]->peek()) first = i;
  return first;
}

Time TenantStreams::peek() const { return left_ > 0 ? streams_[next()]->peek() : kNever; }

void TenantStreams::pop(Request& out) {
  const std::size_t i = next();
  streams_[i]->pop(out);
  if (streams_[i]->wants_done()) in_service_[number_] = {i, out.number, out.session};
  out.number = number_++;
  out.tenant = static_cast<std::uint16_t>(i + 1);
  if (out.session != 0) out.session = static_cast<std::uint32_t>((out.session - 1) * streams_.size() + i + 1);
  --left_;
}

void TenantStreams::on_done(const Request& r, Time now) {
  const auto at = in_service_.find(r.number);
  if (at == in_service_.end()) return;
  Request own = r;
  own.number = at->second.number;
  own.session = at->second.session;
  const std::size_t stream = at->second.stream;
  in_service_.erase(at);
  streams_[stream]->on_done(own, now);
}

bool TenantStreams::wants_done() const {
  return std::any_of(streams_.begin(), streams_.end(), [](const auto& s) { return s->wants_done(); });
}

}  // namespace orrery
