/// Hand-built pictures of a station, for tests that ask one batcher for one plan. Calls are numbered from 0 in the
/// order in which they are added, and arrive in that order, a millisecond apart. KV is counted as the engine would
/// count it.
///
///   Picture p;                                                 // calls 0 to 2 decode, 3 has 300 of 400, 4 waits
///   p.kv(100).decoding(3, 200).prefilling(400, 300).waiting(9000);
///   Planned plan = planned_by(Sarathi({.token_budget = 512_tok}), p);
///   EXPECT_EQ(plan.chunks, (Chunks{{3, 100}, {4, 409}}));
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

#include "policies/kv/paged.hpp"
#include "sim/plan.hpp"

namespace orrery {

using Chunks = std::vector<std::pair<int, std::int64_t>>;   ///< (call, tokens)
using Calls = std::vector<int>;
using Departures = std::vector<std::pair<int, Leave>>;

/// What a plan says, in plain values.
struct Planned {
  std::int64_t decoding = 0;
  Chunks chunks;
  Calls admitted, resumed;
  Departures left;
  std::int64_t repeat = 1;
  BatchPlan::Padding padding;
  std::int64_t available = 0;   ///< blocks
  friend bool operator==(const Planned&, const Planned&) = default;
};
inline void PrintTo(const Planned& p, std::ostream* out) {
  *out << "decoding " << p.decoding << ", chunks";
  for (auto [call, q] : p.chunks) *out << " " << call << ":" << q;
  *out << ", admitted";
  for (int call : p.admitted) *out << " " << call;
  *out << ", resumed";
  for (int call : p.resumed) *out << " " << call;
  *out << ", left";
  for (auto [call, how] : p.left) *out << " " << call << ":" << static_cast<int>(how);
  *out << ", repeat " << p.repeat;
}

inline constexpr std::int64_t kForever = Repeat::while_unchanged().iterations;

/// What the tests say of a call beyond its lengths.
struct CallSetup {
  std::int64_t max_tokens = 100, predicted = 0;
  std::int64_t emitted = 0;    ///< before the last change; for decoding calls: delivered until now
  std::int64_t reserved = 0;   ///< 0: what the context needs
  int preemptions = 0;
  std::int64_t cached = 0;     ///< waiting calls: tokens of the prompt that the prefix cache holds
};

class Picture {
 public:
  Picture& kv(std::int64_t blocks, std::int64_t block_tokens = 16, std::int64_t watermark = 0);
  /// For the calls added from here on, and for those that preempt; not owned. Default: first come, first served.
  Picture& order(const QueueOrder& order) { order_ = &order; return *this; }
  Picture& host(std::int64_t tokens) { host_ = tokens; return *this; }
  Picture& policy(PagedConfig config) { paged_ = Paged(config); return *this; }
  Picture& since_admission(std::int64_t steps) { since_ = steps; return *this; }
  Picture& waiting(std::int64_t prompt, CallSetup setup = {});
  Picture& prefilling(std::int64_t prompt, std::int64_t computed, CallSetup setup = {});
  Picture& decoding(int calls, std::int64_t context,
                    CallSetup setup = {});   ///< prompts of context + 1 - emitted tokens
  Picture& full(std::int64_t context, CallSetup setup = {});                  ///< decoding, its reservation used up
  Picture& swapped(std::int64_t context, CallSetup setup = {});
  Picture& held(std::int64_t prompt, CallSetup setup = {});
  StationView view() const;
  CallId id(int call) const { return CallId{static_cast<std::uint32_t>(call), 0}; }

 private:
  struct Cache final : PrefixView {
    std::vector<std::int64_t> hits;   ///< by call
    PrefixMatch match(CallId id) const override { return {Tokens{hits[id.index]}, Blocks{}}; }
    Blocks releasable(CallId) const override { return 1_blk; }
  };
  int add(std::int64_t prompt, Stage stage, const CallSetup& setup);
  Tokens room(CallId) const;

  std::int64_t blocks_ = 1000, block_tokens_ = 16, watermark_ = 0, host_ = 0, since_ = 5;
  Paged paged_{PagedConfig{}};
  const QueueOrder* order_ = nullptr;
  std::vector<CallRow> rows_;
  std::vector<std::int64_t> keys_;
  Cache cache_;
  std::vector<CallId> waiting_, prefilling_, members_, full_, swapped_, held_;
};

/// The plan of a batcher for this picture.
Planned planned_by(const Batcher& batcher, const Picture& picture);
Planned planned_by(const Batcher& batcher, const StationView& view);

}  // namespace orrery
