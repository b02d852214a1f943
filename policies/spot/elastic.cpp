#include "policies/spot/elastic.hpp"

#include <algorithm>

namespace orrery {

void describe(Describer& d, ElasticConfig& c) {
  d.field("prompt_tokens", c.prompt_tokens, {1, 1e8}, "Prompt of the requests that layouts are compared for");
  d.field("output_tokens", c.output_tokens, {1, 1e8}, "Output of the requests that layouts are compared for");
  d.field("rate", c.rate, {0, 1e9}, "Requests a second that a layout has to carry; 0: as measured", "1/s");
  d.field("window", c.window, {1e-3, 1e6}, "Time over which the rate is measured");
}

const std::vector<PipelineShape>& Elastic::shapes(const Cluster& c) {
  if (!shapes_.empty()) return shapes_;
  for (const Pool& p : c.pools()) {
    shapes_.push_back({p.tp, p.pp, std::max(p.max_running, 1), p.cost, p.on_nodes ? p.count : 0});
    const RequestShape request{config_.prompt_tokens, config_.output_tokens};
    latencies_.push_back(p.cost ? latency(shapes_.back(), request) : Duration{1});
  }
  return shapes_;
}

Choice Elastic::choose(const Cluster& c, int devices) {
  shapes(c);
  return choose_shape(shapes_, latencies_, devices, rate());
}

bool Elastic::has_room(const Instance& x, const Cluster& c) const {
  const int batch = c.pool_of(x.station).max_running;
  return batch == 0 || x.load->calls + x.inbound + reserved(x.station, c) < batch;
}

StationId Elastic::place(const Cluster& c) const {
  const Instance* best = nullptr;
  for (const Instance& x : c.instances()) {
    if (!x.takes_calls() || !has_room(x, c)) continue;
    if (!best || x.load->calls + x.inbound < best->load->calls + best->inbound) best = &x;
  }
  return best ? best->station : StationId{};
}

/// A call that is asked about again counts once.
void Elastic::count(const Call& call, Time now) {
  if (call.arrival != now || call.number < next_number_) return;
  next_number_ = call.number + 1;
  ++arrived_;
}

Placement Elastic::route(CallId id, Cluster& c, Rng) {
  count(c.call(id), c.now());
  const StationId to = c.committed(id) ? place_committed(id, c) : place(c);
  return to.valid() ? Placement::at(to) : Placement::hold();
}

void Elastic::on_tick(Cluster& c) {
  if (config_.rate > 0 || c.now() - window_start_ < config_.window) return;
  measured_ = static_cast<double>(arrived_) / to_seconds(c.now() - window_start_);
  arrived_ = 0;
  window_start_ = c.now();
  on_rate(c);
}

int devices_up(const Cluster& c) {
  int devices = 0;
  for (const Node& n : c.nodes()) devices += n.state == Node::kUp ? n.devices : 0;
  return devices;
}

bool stands_on_any(StationId s, std::span<const std::int32_t> nodes, const Cluster& c) {
  const auto mine = c.nodes_of(s);
  return std::find_first_of(mine.begin(), mine.end(), nodes.begin(), nodes.end()) != mine.end();
}

}  // namespace orrery
