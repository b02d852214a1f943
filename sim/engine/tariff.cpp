#include "sim/engine/tariff.hpp"

namespace orrery {

Tariff::Tariff(TariffParts parts, const Meter& meter, std::size_t stations)
    : parts_(std::move(parts)), meter_(&meter), accounts_(stations) {
  parts_.price.resize(stations);
  charge(Time{}, false);
}

void Tariff::settle(Time now) { charge(now, false); }
void Tariff::finish(Time end) { charge(end, true); }

void Tariff::charge(Time now, bool ended) {
  next_ = parts_.carbon ? parts_.carbon->next(now) : kNever;
  for (std::size_t i = 0; i < accounts_.size(); ++i) {
    Account& a = accounts_[i];
    const StationId s{static_cast<std::int32_t>(i)};
    if (const StepSignal* price = parts_.price[i]) {
      const Duration present = meter_->present(s, now);
      a.usd += static_cast<Wide>(price->at(since_)) * to_ps(present - a.present);
      a.present = present;
      next_ = std::min(next_, price->next(now));
    }
    if (!parts_.carbon) continue;
    const Wide energy = ended ? meter_->told(s, now) : meter_->energy(s, now);
    a.grams += (energy - a.energy) * parts_.carbon->at(since_);
    a.energy = energy;
  }
  since_ = now;
}

double Tariff::usd(std::size_t station) const {
  return parts_.price[station] ? static_cast<double>(accounts_[station].usd) / (1e9 * 3600e12) : -1;
}

double Tariff::grams(std::size_t station) const {
  return static_cast<double>(accounts_[station].grams) / (1e6 * 3.6e6 * 1e15);
}

double Tariff::grams() const {
  Wide sum = 0;
  for (const Account& a : accounts_) sum += a.grams;
  return static_cast<double>(sum) / (1e6 * 3.6e6 * 1e15);
}

}  // namespace orrery
