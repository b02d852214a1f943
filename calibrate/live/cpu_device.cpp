#include "calibrate/live/cpu_device.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <stdexcept>

#include "calibrate/clock.hpp"
#include "calibrate/weights/load.hpp"
#include "kernels/sampling/sampling.hpp"
#include "sim/config/value.hpp"

namespace orrery {
namespace {

/// Numbers too small for the format count as zero while this lives: arithmetic with them takes a hundred times as long.
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }   // flush to zero, denormals are zero
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;

 public:
#else
  FlushDenormals() = default;
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

template <class T>
class CpuReplica final : public LiveReplica {
 public:
  CpuReplica(const DecoderShape& shape, const Weights<T>& weights, const LiveDevice::Kv& kv)
      : vocab_(shape.vocab), decoder_(shape, weights),
        memory_({.shape = shape, .blocks = kv.blocks, .block_tokens = kv.block_tokens, .swap_blocks = 0}) {}

  double seconds() override { return thread_cpu_seconds(); }

  void copy(std::span<const SwapCopy> copies, std::int32_t host_blocks) override {
    memory_.reserve_swap(host_blocks);
    for (std::size_t i = 0; i < copies.size();) {
      const bool out = copies[i].out;
      pairs_.clear();
      for (; i < copies.size() && copies[i].out == out; ++i) {
        pairs_.push_back(out ? copies[i].block : copies[i].host);
        pairs_.push_back(out ? copies[i].host : copies[i].block);
      }
      memory_.copy(out ? KvMemory<T>::Way::kOut : KvMemory<T>::Way::kIn, pairs_);
    }
  }

  std::span<const std::int32_t> run(std::span<const Work> work) override {
    const FlushDenormals flush;
    const auto logits = decoder_.step(work, memory_);
    const auto rows = logits.size() / static_cast<std::size_t>(vocab_);
    params_.resize(rows);
    next_.resize(rows);
    sample(SampleArgs<T>{.logits = logits.data(), .vocab = vocab_, .rows = static_cast<std::int64_t>(rows),
                         .params = params_.data(), .out = next_.data()});
    return next_;
  }

 private:
  std::int32_t vocab_;
  Decoder<T> decoder_;
  KvMemory<T> memory_;
  std::vector<std::int64_t> pairs_;
  std::vector<SampleParams> params_;   ///< the likeliest token of each row
  std::vector<std::int32_t> next_;
};

template <class T>
class CpuDevice final : public LiveDevice {
 public:
  CpuDevice(const DecoderShape& shape, Weights<T> weights) : shape_(shape), weights_(std::move(weights)) {
    const Decoder<T> tried(shape_, weights_);   // throws for shapes that the kernels cannot do
  }
  std::unique_ptr<LiveReplica> replica(const Kv& kv) const override {
    return std::make_unique<CpuReplica<T>>(shape_, weights_, kv);
  }
  std::string name() const override { return "cpu"; }
  std::string clock() const override { return "CPU time of the engine's thread"; }
  std::int32_t vocabulary() const override { return shape_.vocab; }
  std::int64_t row_tile() const override { return 3; }   // kernels/common/simd.cpp, TileShape of float with AVX2

 private:
  DecoderShape shape_;
  Weights<T> weights_;
};

template <class T>
std::unique_ptr<LiveDevice> device_of(const LiveModel& model, const LiveDeviceOptions& o) {
  if (o.weights.empty()) return std::make_unique<CpuDevice<T>>(model.shape, Weights<T>(model.shape, o.seed));
  return std::make_unique<CpuDevice<T>>(model.shape, load_weights<T>(SafetensorsFile(o.weights), model.shape));
}

}  // namespace

std::unique_ptr<LiveDevice> make_cpu_device(const LiveModel& model, const LiveDeviceOptions& o) {
  if (model.parameters() > kMostCpuParameters) {
    throw ConfigError("model \"" + model.name + "\": " + std::to_string(model.parameters()) +
                      " parameters are too many for the CPU engine (at most " + std::to_string(kMostCpuParameters) +
                      ")");
  }
  try {
    if (o.dtype.empty() || o.dtype == "fp32") return device_of<float>(model, o);
    if (o.dtype == "bf16") return device_of<Bf16>(model, o);
  } catch (const std::invalid_argument& e) {
    throw ConfigError("model \"" + model.name + "\": the CPU engine: " + e.what());
  }
  throw ConfigError("dtype \"" + o.dtype + "\": the CPU engine has fp32 and bf16");
}

}  // namespace orrery
