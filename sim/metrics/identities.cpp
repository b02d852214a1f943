#include "sim/metrics/identities.hpp"

#include <cstdio>

namespace orrery {
namespace {

std::string text(Wide v) {
  const bool negative = v < 0;
  std::string digits;
  do {
    const int digit = static_cast<int>(v % 10);
    digits.insert(digits.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    v /= 10;
  } while (v != 0);
  return negative ? "-" + digits : digits;
}

std::string text(Time t) {
  if (t == kNever) return "never";
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.12f s", to_seconds(t));
  return buffer;
}

class Checker {
 public:
  explicit Checker(const RunFacts& facts) : f_(facts) {}

  void equal(const char* rule, Wide left, Wide right, const std::string& where = {}) {
    if (left != right) fail(std::string(rule) + ": " + text(left) + " is not " + text(right), where);
  }
  void fail(const std::string& what, const std::string& where = {}) {
    out_.push_back("broken identity at " + text(f_.end.end) + (where.empty() ? "" : ", " + where) + ", seed " +
                   std::to_string(f_.seed) + ": " + what);
  }
  std::vector<std::string> take() { return std::move(out_); }

 private:
  const RunFacts& f_;
  std::vector<std::string> out_;
};

std::string replica(std::size_t i) { return "replica " + std::to_string(i); }

void check_requests(const RunFacts& f, Checker& c) {
  if (f.backwards) c.fail("time ran backwards at " + text(*f.backwards));
  if (f.odd) {
    const Row& r = *f.odd;
    c.fail("times out of order (" + std::string(name(r.status)) + "): arrival " + text(r.arrival) + ", schedule " +
               text(r.first_schedule) + ", first token " + text(r.first_token) + ", finish " + text(r.finish) + ", " +
               std::to_string(r.output.value()) + " output tokens",
           "request " + std::to_string(r.number) +
               (r.station.valid() ? ", replica " + std::to_string(r.station.index) : ""));
  }
  std::int64_t rows = 0;
  for (const std::int64_t n : f.rows) rows += n;
  c.equal("requests offered = done + rejected + failed + cancelled + timed out + in flight", f.offered, rows);
  c.equal("requests in the system = rows in flight", f.in_system, f.rows[static_cast<int>(Status::kInFlight)]);
  c.equal("Little's law, ps: integral of the number in the system = sum of times in it", f.area, f.sojourn);
}

void check_work(const RunFacts& f, Checker& c) {
  c.equal("tokens computed = delivered + in flight + recomputed + wasted", f.computed,
          static_cast<Wide>(f.done) + f.in_flight + f.recomputed + f.wasted);
  if (!f.restarted) c.equal("gaps between tokens recorded = sum over requests of output - 1", f.itl, f.gaps);
  Wide energy = 0;
  for (const Wide e : f.station_energy) energy += e;
  c.equal("energy of the run, nJ = sum over replicas", f.energy, energy);
  for (std::size_t i = 0; i < f.metered.size(); ++i)
    c.equal("energy of a power domain, fJ: sum over telemetry samples = its servers' meters", f.end.rows[i].sampled,
            f.metered[i], "domain " + f.end.rows[i].name);
}

void check_charges(const RunFacts& f, Checker& c) {
  if (!f.end.charges) return;
  const ChargeResult& r = *f.end.charges;
  Spend steps;
  for (const StationCharge& s : r.by_station) steps += s.spent;
  c.equal("energy of steps, nJ = what requests are charged + what is left", steps.energy,
          r.requests.energy + r.left.energy);
  c.equal("money of steps = what requests are charged + what is left", steps.money, r.requests.money + r.left.money);
  c.equal("carbon of steps = what requests are charged + what is left", steps.carbon,
          r.requests.carbon + r.left.carbon);
  c.equal("energy of the run, nJ = that of steps that ended + what was lost", f.energy,
          steps.energy + r.lost + f.end.told_ahead);
}

/// Of KV between device and host: what steps were told to copy is what was swapped and what the prefix cache moved.
void check_copies(const RunFacts& f, Checker& c) {
  Wide in = 0, out = 0;
  bool idle = !f.aborted;
  for (const RunEnd::Station& s : f.end.stations) {
    const std::int64_t block = s.block_tokens.value();
    const std::int64_t copied_in = s.host.restored - s.host.untold_in.value();
    const std::int64_t copied_out = s.host.offloaded - s.host.untold_out.value();
    in += static_cast<Wide>(s.token_bytes.value()) * (s.swapped_in.value() + copied_in * block);
    out += static_cast<Wide>(s.token_bytes.value()) * (s.swapped_out.value() + copied_out * block);
    idle = idle && s.idle;
  }
  if (!idle || f.end.stations.empty()) return;
  c.equal("bytes of KV from host memory: of all steps = swapped in + prefixes restored", Wide{f.host_in.value()}, in);
  c.equal("bytes of KV to host memory: of all steps = swapped out + prefixes offloaded", Wide{f.host_out.value()}, out);
}

void check_kv(const RunFacts& f, Checker& c) {
  for (std::size_t i = 0; i < f.end.stations.size(); ++i) {
    const RunEnd::Station& s = f.end.stations[i];
    c.equal("KV blocks held + free + cached = total", s.held.value() + s.free.value() + s.cached.value(),
            s.total.value(), replica(i));
    if (s.idle) c.equal("KV blocks held by an idle replica = 0", s.held.value(), 0, replica(i));
    const RunEnd::Station::Host& h = s.host;
    c.equal("cached blocks offloaded to host memory = restored + superseded + dropped + there", h.offloaded,
            h.restored + h.superseded + h.dropped + h.held.value(), replica(i));
    if (h.held > h.room || h.peak > h.room) c.fail("more cached blocks in host memory than there is room", replica(i));
  }
  check_copies(f, c);
  for (std::size_t i = 0; i < f.slots.size(); ++i) {
    const RunFacts::Slots& s = f.slots[i];
    if (s.used < 0 || s.reserved < 0 || s.used + s.reserved > s.held)
      c.fail("KV slots, integrals over time: 0 <= used " + text(s.used) + ", 0 <= reserved " + text(s.reserved) +
                 ", together at most held " + text(s.held),
             replica(i));
  }
}

}  // namespace

std::vector<std::string> broken_identities(const RunFacts& f) {
  Checker c(f);
  check_requests(f, c);
  check_work(f, c);
  check_charges(f, c);
  check_kv(f, c);
  return c.take();
}

}  // namespace orrery
