/// Links that transfers share: each transfer crosses a few links (a sender's, a receiver's, a switch's), and each link
/// divides its bandwidth fairly among those that cross it (max-min fairness by progressive filling; Bertsekas and
/// Gallager, Data Networks, 2nd ed., 6.5.2). All integers: rates are whole bytes a second, what is left is counted in
/// byte-picoseconds a second, and a transfer ends in the first picosecond in which nothing is left.
///
///   Fabric fabric;  LinkId a = fabric.add_link(50'000'000'000), b = fabric.add_link(50'000'000'000);
///   fabric.start(now, 1_GB, {a, b}, payload);
///   while (fabric.next() == now) take(fabric.pop(now));
///
/// A start or an end costs O(flows x links) of its connected component, and O(log flows).
#pragma once

#include <cstdint>
#include <queue>
#include <span>
#include <vector>

#include "sim/base/slot.hpp"
#include "sim/base/units.hpp"

namespace orrery {

using LinkId = Id<struct LinkTag>;
using FlowId = Slot<struct FlowTag>;

class Fabric {
 public:
  /// `bytes_per_s` >= 1.
  LinkId add_link(std::int64_t bytes_per_s);
  void set_bandwidth(LinkId link, std::int64_t bytes_per_s, Time now);
  std::int64_t bandwidth(LinkId link) const { return links_[static_cast<std::size_t>(link.index)].bytes_per_s; }
  /// A transfer of `bytes` >= 0 over `links` (at most four, each once; none: it takes no time).
  FlowId start(Time now, Bytes bytes, std::span<const LinkId> links, std::uint64_t payload);
  void cancel(FlowId flow, Time now);
  /// When the next transfer ends; kNever if none is under way.
  Time next();
  /// Takes the one that ends at `now` and returns its payload; of several, the one that started first.
  std::uint64_t pop(Time now);

  /// Of a flow that has just been started: until it ends, if its rate stays as it is.
  Duration time_left(FlowId flow) const;
  std::int64_t rate(FlowId flow) const { return flows_[flow.index].rate; }   ///< bytes a second, of a live flow
  Wide delivered() const { return delivered_; }                              ///< bytes of all that ended
  bool idle() const { return live_ == 0; }

 private:
  static constexpr int kMaxLinks = 4;
  struct Flow {
    LinkId links[kMaxLinks];
    int count = 0;
    std::int64_t rate = 0;
    Wide left = 0;                 ///< bytes times 1e12
    Time since{};                  ///< `left` is as of then
    Bytes bytes;
    std::uint64_t payload = 0, order = 0;
    std::uint32_t generation = 0, version = 0;   ///< of the slot; of its end in the heap
    bool live = false;
    bool collected = false, fixed = false;   ///< scratch
  };
  struct Link {
    std::int64_t bytes_per_s = 0;
    std::vector<std::uint32_t> flows;
    std::int64_t open = 0;         ///< scratch: bandwidth not given away yet,
    std::int32_t unfixed = 0;      ///< and flows without a rate
    bool seen = false;
  };
  struct End {
    Time at;
    std::uint64_t order;
    std::uint32_t flow, version;
    friend bool operator>(const End& a, const End& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };

  void remove(std::uint32_t flow, Time now);
  void collect(LinkId from);
  void share(Time now);
  void drop_stale();

  std::vector<Link> links_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> free_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  std::vector<std::uint32_t> component_links_, component_flows_;   ///< scratch
  std::uint64_t started_ = 0;
  std::int64_t live_ = 0;
  Wide delivered_ = 0;
};

}  // namespace orrery
