#include "sim/metrics/step_times.hpp"

#include <algorithm>

namespace orrery {
namespace {

double ratio(double a, double b) { return b != 0 ? a / b : 0; }
double seconds(Wide ps) { return static_cast<double>(ps) * 1e-12; }

/// Sum over iterations j in [from, to) of base + j * slope.
Wide line_sum(std::int64_t base, std::int64_t slope, std::int64_t from, std::int64_t to) {
  const std::int64_t pairs = to * (to - 1) / 2 - from * (from - 1) / 2;
  return static_cast<Wide>(base) * (to - from) + static_cast<Wide>(slope) * pairs;
}

}  // namespace

Ridge Ridge::of(double peak_flops, double peak_bytes) {
  if (peak_flops <= 0 || peak_bytes <= 0) return {};
  double flops = peak_flops / peak_bytes;
  int shift = 0;
  for (; flops < 512 && shift < 20; ++shift) flops *= 2;
  return {std::max<std::int64_t>(1, static_cast<std::int64_t>(flops + 0.5)), shift};
}

MemoryBound first_or_last(std::int64_t first, std::int64_t step, std::int64_t k) {
  const Wide at_first = first, slope = step, at_last = at_first + slope * (k - 1);
  if ((at_first >= 0) == (at_last >= 0)) return {at_first >= 0 ? k : 0, true};
  if (at_first >= 0) return {static_cast<std::int64_t>(at_first / -slope) + 1, true};
  return {k - static_cast<std::int64_t>((-at_first + slope - 1) / slope), false};
}

int StepTimes::kind_of(const Kind& kind) {
  const auto at = std::find(kinds_.begin(), kinds_.end(), kind);
  if (at != kinds_.end()) return static_cast<int>(at - kinds_.begin());
  StepShape one;
  one.decodes = 1_tok;
  one.outputs = 1;
  kinds_.push_back(kind);
  rates_.push_back({Ridge::of(kind.peak_flops, kind.peak_bytes),
                    kind.cost != nullptr && kind.cost->collectives(one, 0) > Duration{}});
  parts_.emplace_back();
  return static_cast<int>(kinds_.size() - 1);
}

std::int64_t StepTimes::moving(int kind, const StepShape& shape, int stage, std::int64_t k, const StepRun& run) {
  const auto i = static_cast<std::size_t>(kind);
  Parts& p = parts_[i];
  const CostModel* cost = kinds_[i].cost;
  std::int64_t left = to_ps(run.first) - to_ps(run.host), moving = 0;
  const auto take = [&](Wide& part, std::int64_t ps) {
    ps = std::clamp<std::int64_t>(ps, 0, left);
    part += static_cast<Wide>(ps) * k;
    left -= ps;
    moving += ps;
  };
  if (stage == 0) {
    host_in_ += shape.host_in * k;
    host_out_ += shape.host_out * k;
  }
  if (rates_[i].collective) take(p.network, to_ps(cost->collectives(shape, stage)));
  if (cost != nullptr && (shape.host_in.value() | shape.host_out.value()) != 0) {
    StepShape here = shape;
    here.host_in = here.host_out = Bytes{};
    take(p.swap, to_ps(run.first) - to_ps(cost->price({&here, 1}, stage).first));
  }
  return moving;
}

void StepTimes::add_split(Bound& b, const MemoryBound& m, std::int64_t apart, std::int64_t k, const StepRun& run) {
  const std::int64_t each = to_ps(run.first) - apart, slope = to_ps(run.step);
  const std::int64_t from = m.first ? 0 : k - m.count, to = from + m.count;
  b.memory += line_sum(each, slope, from, to);
  b.bytes += line_sum(run.bytes, run.bytes_step, from, to);
  const std::int64_t begin = m.first ? to : 0, end = m.first ? k : from;
  b.compute += line_sum(each, slope, begin, end);
  b.flops += line_sum(run.flops, run.flops_step, begin, end);
}

double StepTimes::host_s() const {
  Wide sum = 0;
  for (const Parts& p : parts_) sum += p.host;
  return seconds(sum);
}

double StepTimes::swap_s() const {
  Wide sum = 0;
  for (const Parts& p : parts_) sum += p.swap;
  return seconds(sum);
}

/// A stage is one of several that a replica is busy with at once, so its time counts that much less.
TimeShares StepTimes::shares(Wide there) const {
  TimeShares s;
  double roofline = 0, memory[2] = {}, compute[2] = {};
  const double all = seconds(there);
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    const Parts& p = parts_[i];
    const double stages = kinds_[i].stages;
    const auto add = [&](double& to, Wide ps) { to += ratio(seconds(ps) / stages, all); };
    add(s.host, p.host);
    add(s.network, p.network);
    add(s.swap, p.swap);
    add(s.unknown, p.unknown);
    add(s.lost, p.lost);
    for (std::size_t phase = 0; phase < 2; ++phase) {
      const Bound& b = p.of[phase];
      add(s.memory, b.memory);
      add(s.compute, b.compute);
      add(memory[phase], b.memory);
      add(compute[phase], b.compute);
      roofline += ratio(static_cast<double>(b.bytes), kinds_[i].peak_bytes) +
                  ratio(static_cast<double>(b.flops), kinds_[i].peak_flops);
    }
  }
  const double busy = s.host + s.network + s.swap + s.unknown + s.lost + s.memory + s.compute;
  s.idle = all > 0 ? 1 - busy : 0;
  s.roofline = ratio(roofline, (busy - s.unknown - s.lost) * all);
  s.decode_memory = ratio(memory[0], memory[0] + compute[0]);
  s.prompt_memory = ratio(memory[1], memory[1] + compute[1]);
  return s;
}

}  // namespace orrery
