/// What was spent on something: energy, money and carbon as exact integers, so that shares add up to the whole.
///
///   Spend part = step * tokens / all;   step -= part;
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

struct Spend {
  Wide energy = 0;   ///< nJ
  Wide money = 0;    ///< 1e-9 USD an hour, times ps
  Wide carbon = 0;   ///< micrograms of CO2 a kWh, times nJ

  Spend& operator+=(const Spend& o) { return energy += o.energy, money += o.money, carbon += o.carbon, *this; }
  Spend& operator-=(const Spend& o) { return energy -= o.energy, money -= o.money, carbon -= o.carbon, *this; }
  /// n / of of it, rounded down.
  Spend part(std::int64_t n, std::int64_t of) const {
    const auto share = [&](Wide x) { return x / of * n + x % of * n / of; };
    return {share(energy), share(money), share(carbon)};
  }
  friend Spend operator-(Spend a, const Spend& b) { return a -= b; }
  friend bool operator==(const Spend&, const Spend&) = default;

  double joules() const { return static_cast<double>(energy) * 1e-9; }
  double usd() const { return static_cast<double>(money) / (1e9 * 3600e12); }
  double grams() const { return static_cast<double>(carbon) / (1e6 * 3.6e6 * 1e9); }
};

/// What the steps of a station did and spent.
struct StationCharge {
  Spend spent;
  std::int64_t prompt_tokens = 0, output_tokens = 0;   ///< computed here, delivered here; text that is computed or
                                                       ///< delivered again counts again
  std::int64_t service() const { return prompt_tokens + 2 * output_tokens; }   ///< in units of VTC (OSDI'24)
};

/// Sums of a run over what its requests are charged.
struct ChargeResult {
  Spend requests;                          ///< all of them, those in flight too
  std::vector<Spend> by_class;             ///< by number
  std::vector<StationCharge> by_station;
  Spend left;                              ///< of steps: remainders of divisions, and steps that only move KV
  Wide lost = 0;                           ///< nJ of steps that never ended
  bool money = false, carbon = false;      ///< is it known?
};

}  // namespace orrery
