/// What is measured is as warm as in a run: launches and steps that find their memory cold do not count. Measured cold,
/// a calibrated model was 22 % too long.
#include <gtest/gtest.h>

#include <set>

#include "calibrate/live/live_step_engine.hpp"
#include "calibrate/sweep/protocol.hpp"

namespace orrery {
namespace {

constexpr double kWarm = 1e-4, kCold = 2e-4;

/// Passes over `buffers` buffers in turn; a launch that meets one for the first time takes twice as long.
class WarmingTrial final : public Trial {
 public:
  explicit WarmingTrial(std::int64_t buffers) : buffers_(buffers) {}
  double run(std::int64_t launches) override {
    double seconds = 0;
    for (std::int64_t i = 0; i < launches; ++i, ++turn_) seconds += turn_ < buffers_ ? kCold : kWarm;
    return seconds;
  }

 private:
  std::int64_t buffers_, turn_ = 0;
};

/// A sample of cold launches is of 3 ms / 0.2 ms = 15 of them; of 12 buffers, all have been met before it counts.
TEST(Warmth, LaunchesThatMeetTheirBuffersFirstDoNotCount) {
  for (const std::int64_t buffers : {1, 2, 5, 12}) {
    WarmingTrial trial(buffers);
    EXPECT_NEAR(take_sample(trial), kWarm, 1e-9) << buffers;
  }
}

/// Takes twice as long where the step before was another batch: its weights and KV have left the cache.
class ForgetfulReplica final : public LiveReplica {
 public:
  double seconds() override { return now_; }
  void copy(std::span<const SwapCopy>, std::int32_t) override {}
  std::span<const std::int32_t> run(std::span<const Work> work) override {
    now_ += work.size() == before_ ? kWarm : kCold;
    before_ = work.size();
    next_.assign(work.size(), 0);
    return next_;
  }

 private:
  double now_ = 0;
  std::size_t before_ = 0;
  std::vector<std::int32_t> next_;
};

class ForgetfulDevice final : public LiveDevice {
 public:
  std::unique_ptr<LiveReplica> replica(const Kv&) const override { return std::make_unique<ForgetfulReplica>(); }
  std::string name() const override { return "forgetful"; }
  std::string clock() const override { return "its own"; }
  std::int32_t vocabulary() const override { return 100; }
};

/// Steps of unlike batches by turns, as a sweep visits them.
TEST(Warmth, AStepBehindAnUnlikeOneDoesNotCount) {
  const ForgetfulDevice device;
  LiveStepEngine engine(device, {.max_sequences = 8, .max_context = 64});
  for (int visit = 0; visit < 3; ++visit) {
    for (const std::size_t sequences : {1, 8, 3}) {
      const StepBatch batch{{}, std::vector<Tokens>(sequences, Tokens{32})};
      EXPECT_NEAR(engine.run(batch), kWarm, 1e-9) << sequences;
    }
  }
}

/// Repeats of a batch have other tokens, which a mixture sends to other experts.
TEST(Warmth, RepeatsOfABatchHaveOtherTokens) {
  class Device final : public LiveDevice {
   public:
    class Replica final : public LiveReplica {
     public:
      explicit Replica(std::vector<std::int32_t>& seen) : seen_(seen) {}
      double seconds() override { return now_ += 1e-3; }
      void copy(std::span<const SwapCopy>, std::int32_t) override {}
      std::span<const std::int32_t> run(std::span<const Work> work) override {
        seen_.push_back(work.front().tokens.front());
        return {};
      }

     private:
      std::vector<std::int32_t>& seen_;
      double now_ = 0;
    };
    std::unique_ptr<LiveReplica> replica(const Kv&) const override { return std::make_unique<Replica>(seen); }
    std::string name() const override { return "watched"; }
    std::string clock() const override { return "its own"; }
    std::int32_t vocabulary() const override { return 1 << 20; }
    mutable std::vector<std::int32_t> seen;
  };
  const Device device;
  LiveStepEngine engine(device, {.max_sequences = 1, .max_context = 64});
  engine.run({{}, {Tokens{32}}});
  ASSERT_GE(device.seen.size(), 5u);
  EXPECT_EQ(std::set<std::int32_t>(device.seen.begin(), device.seen.end()).size(), device.seen.size());
}

/// The same through a sweep's own trial and protocol.
TEST(Warmth, StepsOfASweepAreRepeatedByTheirEngine) {
  const ForgetfulDevice device;
  LiveStepEngine engine(device, {.max_sequences = 8, .max_context = 64});
  const StepBatch one{{}, {Tokens{32}}}, two{{}, {Tokens{32}, Tokens{32}}};
  for (const StepBatch* batch : {&one, &two, &one}) {
    StepTrial trial(engine, *batch);
    EXPECT_NEAR(take_sample(trial), kWarm, 1e-9);
  }
}

}  // namespace
}  // namespace orrery
