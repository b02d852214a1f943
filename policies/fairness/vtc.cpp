#include "policies/fairness/vtc.hpp"

#include <algorithm>
#include <limits>

namespace orrery {
namespace {

constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min() / 2;   ///< came back after a preemption
constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max() / 2;    ///< until the next plan ranks it

std::int64_t units(double tokens) { return static_cast<std::int64_t>(tokens * static_cast<double>(Vtc::kUnit) + 0.5); }

}  // namespace

void describe(Describer& d, VtcConfig& c) {
  d.field("input_weight", c.input_weight, {0.01, 100}, "Service of an input token (w_p)");
  d.field("output_weight", c.output_weight, {0.01, 100}, "Service of an output token (w_q)");
  d.field("lift", c.lift, "Lift the counter of a tenant who comes back; false: least counter first");
  d.field("charge_predicted", c.charge_predicted, "Charge the predicted output at admission, correct it at the end");
}

void Vtc::on_start(std::span<const ServiceClass> classes) {
  weights_.clear();
  for (const ServiceClass& c : classes) weights_.push_back(c.weight);
}

Vtc::Price Vtc::price(const Call& call) const {
  const double weight = call.request_class < weights_.size() ? weights_[call.request_class] : 1;
  return {units(config_.input_weight / weight), units(config_.output_weight / weight)};
}

/// What admitting the call adds to its tenant's counter.
std::int64_t Vtc::admission(const Call& call) const {
  const Price p = price(call);
  const std::int64_t ahead = config_.charge_predicted ? call.predicted_high.value() : 0;
  return p.input * call.prompt.value() + p.output * ahead;
}

std::int64_t Vtc::key(CallId, const Call&, const Progress& progress, const StationView*) const {
  return progress.preemptions > 0 ? kFirst : kLast;
}

void Vtc::rank(const StationView& view, std::span<std::int64_t> keys) const {
  starts_.clear();
  for (const Tenant& t : tenants_) starts_.push_back(t.counter);
  for (std::size_t i = 0; i < keys.size(); ++i) {   // calls of one tenant stand in their order already
    const CallId id = view.waiting[i];
    keys[i] = kFirst;
    if (view.progress(id).preemptions > 0) continue;
    std::int64_t& start = starts_[view.call(id).tenant];
    keys[i] = start;
    start += admission(view.call(id));
  }
}

void Vtc::on_event(const CallEvent& e) {
  if (e.kind == CallEvent::kArrived) return arrive(e);
  if (e.kind == CallEvent::kMovedIn) {   // served elsewhere so far; what it gets here is charged here
    make_room(e);
    calls_[e.id.index] = {e.call->tenant, false, true, price(*e.call).output, 0, 0};
    return;
  }
  Known& call = calls_[e.id.index];
  Tenant& tenant = tenants_[call.tenant];
  if (e.kind == CallEvent::kAdmitted && !call.charged) {
    call.charged = true;
    call.waiting = false;
    --tenant.waiting;
    tenant.counter += admission(*e.call);
    call.paid = config_.charge_predicted ? e.call->predicted_high.value() : 0;
  } else if (e.kind == CallEvent::kFirstToken) {
    deliver(call, 1);
  } else if (e.kind == CallEvent::kFinished || e.kind == CallEvent::kMovedOut) {
    tenant.waiting -= call.waiting;
    tenant.counter -= std::max<std::int64_t>(call.paid - call.got, 0) * call.each;   // promised, but not needed
  }
}

void Vtc::make_room(const CallEvent& e) {
  if (tenants_.size() <= e.call->tenant) tenants_.resize(e.call->tenant + std::size_t{1});
  if (calls_.size() <= e.id.index) calls_.resize(e.id.index + std::size_t{1});
}

void Vtc::arrive(const CallEvent& e) {
  const std::uint16_t who = e.call->tenant;
  make_room(e);
  Tenant& tenant = tenants_[who];
  if (tenant.waiting == 0 && config_.lift) {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const Tenant& t : tenants_)
      if (t.waiting > 0) least = std::min(least, t.counter);
    if (least != std::numeric_limits<std::int64_t>::max()) tenant.counter = std::max(tenant.counter, least);
  }
  ++tenant.waiting;
  calls_[e.id.index] = {who, true, false, price(*e.call).output, 0, 0};
}

/// What was charged in advance is not charged again.
void Vtc::deliver(Known& call, std::int64_t tokens) {
  const std::int64_t covered = std::clamp<std::int64_t>(call.paid - call.got, 0, tokens);
  call.got += tokens;
  tenants_[call.tenant].counter += (tokens - covered) * call.each;
}

void Vtc::on_steps(std::int64_t iterations, const GroupView& group) {
  for (CallId id : group.members) deliver(calls_[id.index], iterations);
}

}  // namespace orrery
