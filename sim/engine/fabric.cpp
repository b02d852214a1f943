#include "sim/engine/fabric.hpp"

#include <algorithm>
#include <utility>

namespace orrery {
namespace {

constexpr std::int64_t kPsPerSecond = 1'000'000'000'000;

}  // namespace

LinkId Fabric::add_link(std::int64_t bytes_per_s) {
  links_.push_back({.bytes_per_s = bytes_per_s, .flows = {}});
  return LinkId{static_cast<std::int32_t>(links_.size() - 1)};
}

void Fabric::set_bandwidth(LinkId link, std::int64_t bytes_per_s, Time now) {
  links_[static_cast<std::size_t>(link.index)].bytes_per_s = bytes_per_s;
  collect(link);
  share(now);
}

FlowId Fabric::start(Time now, Bytes bytes, std::span<const LinkId> links, std::uint64_t payload) {
  std::uint32_t index;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(flows_.size());
    flows_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Flow& f = flows_[index];
  f.count = static_cast<int>(links.size());
  std::copy(links.begin(), links.end(), f.links);
  f.rate = 0;
  f.left = static_cast<Wide>(bytes.value()) * kPsPerSecond;
  f.since = now;
  f.bytes = bytes;
  f.payload = payload;
  f.order = started_++;
  f.live = true;
  ++live_;
  if (links.empty() || bytes == Bytes{}) {
    ends_.push({now, f.order, index, ++f.version});
    f.count = 0;
    return {index, f.generation};
  }
  for (const LinkId l : links) links_[static_cast<std::size_t>(l.index)].flows.push_back(index);
  collect(links.front());
  share(now);
  return {index, f.generation};
}

void Fabric::cancel(FlowId flow, Time now) {
  if (flow.index < flows_.size() && flows_[flow.index].live && flows_[flow.index].generation == flow.generation)
    remove(flow.index, now);
}

Duration Fabric::time_left(FlowId flow) const {
  const Flow& f = flows_[flow.index];
  return f.count == 0 ? Duration{} : Duration{static_cast<std::int64_t>((f.left + f.rate - 1) / f.rate)};
}

void Fabric::remove(std::uint32_t index, Time now) {
  Flow& f = flows_[index];
  f.live = false;
  ++f.generation;
  ++f.version;
  --live_;
  free_.push_back(index);
  const int count = std::exchange(f.count, 0);
  for (int i = 0; i < count; ++i) std::erase(links_[static_cast<std::size_t>(f.links[i].index)].flows, index);
  for (int i = 0; i < count; ++i) {   // what is left of its component may have fallen apart
    collect(f.links[i]);
    share(now);
  }
}

/// The connected component of a link: all flows whose rates may change when one of them does.
void Fabric::collect(LinkId from) {
  component_links_.assign(1, static_cast<std::uint32_t>(from.index));
  component_flows_.clear();
  links_[component_links_[0]].seen = true;
  for (std::size_t i = 0; i < component_links_.size(); ++i) {
    for (const std::uint32_t index : links_[component_links_[i]].flows) {
      Flow& f = flows_[index];
      if (!f.collected) {
        f.collected = true;
        component_flows_.push_back(index);
      }
      for (int l = 0; l < f.count; ++l) {
        const auto other = static_cast<std::uint32_t>(f.links[l].index);
        if (links_[other].seen) continue;
        links_[other].seen = true;
        component_links_.push_back(other);
      }
    }
  }
  for (const std::uint32_t l : component_links_) links_[l].seen = false;
  for (const std::uint32_t f : component_flows_) flows_[f].collected = false;
}

/// Progressive filling: the link with the least bandwidth a flow fixes the rate of its flows, and so on. Ends move.
void Fabric::share(Time now) {
  for (const std::uint32_t l : component_links_) {
    links_[l].open = links_[l].bytes_per_s;
    links_[l].unfixed = static_cast<std::int32_t>(links_[l].flows.size());
  }
  for (const std::uint32_t i : component_flows_) {
    Flow& f = flows_[i];
    f.left -= static_cast<Wide>(f.rate) * to_ps(now - f.since);
    f.left = std::max<Wide>(f.left, 0);
    f.since = now;
    f.fixed = false;
  }
  for (std::size_t fixed = 0; fixed < component_flows_.size();) {
    Link* tightest = nullptr;
    for (const std::uint32_t l : component_links_) {
      Link& link = links_[l];
      if (link.unfixed > 0 && (!tightest || link.open * tightest->unfixed < tightest->open * link.unfixed))
        tightest = &link;
    }
    const std::int64_t rate = std::max<std::int64_t>(1, tightest->open / tightest->unfixed);
    for (const std::uint32_t i : tightest->flows) {
      Flow& f = flows_[i];
      if (f.fixed) continue;
      f.fixed = true;
      ++fixed;
      if (f.rate != rate) {   // at the same rate, it ends when it would have
        f.rate = rate;
        const auto wait = static_cast<std::int64_t>((f.left + rate - 1) / rate);
        ends_.push({now + Duration{wait}, f.order, i, ++f.version});
      }
      for (int l = 0; l < f.count; ++l) {
        Link& crossed = links_[static_cast<std::size_t>(f.links[l].index)];
        crossed.open -= rate;
        --crossed.unfixed;
      }
    }
  }
}

void Fabric::drop_stale() {
  while (!ends_.empty() && (!flows_[ends_.top().flow].live || flows_[ends_.top().flow].version != ends_.top().version))
    ends_.pop();
}

Time Fabric::next() {
  drop_stale();
  return ends_.empty() ? kNever : ends_.top().at;
}

std::uint64_t Fabric::pop(Time now) {
  drop_stale();
  const std::uint32_t index = ends_.top().flow;
  ends_.pop();
  const std::uint64_t payload = flows_[index].payload;
  delivered_ += flows_[index].bytes.value();
  remove(index, now);
  return payload;
}

}  // namespace orrery
