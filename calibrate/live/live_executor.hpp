/// A real engine behind the executor interface: expands the plan's decode group, moves the block tables by the ledger's
/// journal, runs the step on a device, and reports measured time, which the simulation takes for simulated time. The
/// policies cannot tell it from the model.
///
///   LiveExecutor executor(*device, kv);                 // one a station
///   parts.stations[0].executor = &executor;
///
/// Before each step it compares its own books with the ledger's: free blocks, and for every call of the step the tokens
/// whose KV it has. A difference throws EngineError. Tokens are those of the trace (token_stream.hpp), output lengths
/// too; what the model itself would say next is drawn, as the work of a step, and kept in outputs() alone.
///
/// Not for plans with padding (EngineError), nor for pipelines. O(batch) a step beside the kernels. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "calibrate/live/block_tables.hpp"
#include "calibrate/live/device.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/ledger.hpp"

namespace orrery {

class LiveExecutor final : public Executor {
 public:
  LiveExecutor(const LiveDevice& device, const KvConfig& kv);

  StepRun begin(const BatchPlan& plan, const StepShape& shape, std::span<const KvOp> journal,
                const StationView& station) override;
  bool wants_journal() const override { return true; }
  void bind(const PromptPaths& paths) override { paths_ = &paths; }

  /// Hash of all tokens that the model chose: (call, position, token), whatever the order. Where results do not depend
  /// on the batch (the CPU engine), it depends on the requests alone: not on policies, preemptions or shared prefixes.
  std::uint64_t outputs() const { return outputs_; }
  std::int64_t steps() const { return steps_; }

 private:
  struct Item {
    CallId call;
    std::int64_t context, q;
    bool output;               ///< a token comes out: a decode, or the end of a prompt
  };
  void gather(const BatchPlan& plan, const StationView& station);
  void check(const StationView& station);
  void fill_work();
  void keep(std::span<const std::int32_t> next, const StationView& station);

  std::int32_t vocab_;
  BlockTables tables_;
  std::unique_ptr<LiveReplica> replica_;
  const PromptPaths* paths_ = nullptr;
  std::vector<Item> items_;
  std::vector<std::int32_t> tokens_;   ///< of all items, one after the other
  std::vector<Work> work_;
  std::uint64_t outputs_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace orrery
