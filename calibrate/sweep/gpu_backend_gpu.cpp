#include "calibrate/sweep/gpu_backend.hpp"

#include <chrono>
#include <thread>

#include "calibrate/live/gpu_device.hpp"
#include "calibrate/live/live_step_engine.hpp"
#include "calibrate/sweep/gpu_arena.hpp"
#include "calibrate/sweep/gpu_trials.hpp"
#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#if defined(ORRERY_GPU_CUDA)
#include "kernels/device/nvml.hpp"
#endif

namespace orrery::ORRERY_GPU {
namespace {

/// What the device says of itself.
struct DeviceFacts {
  double memory_bytes = 0, l2_bytes = 0, clock_hz = 0, memory_clock_hz = 0, bus_bytes = 0;
};

#if defined(ORRERY_GPU_CUDA)
constexpr std::size_t kArenaBytes = std::size_t{4} << 30;

DeviceFacts device_facts() {
  const auto attribute = [](cudaDeviceAttr which) {
    int device = 0, value = 0;
    check_cuda(cudaGetDevice(&device), "the current device");
    check_cuda(cudaDeviceGetAttribute(&value, which, device), "an attribute of the device");
    return static_cast<double>(value);
  };
  std::size_t free = 0, all = 0;
  check_cuda(cudaMemGetInfo(&free, &all), "memory of the device");
  return {.memory_bytes = static_cast<double>(all),
          .l2_bytes = attribute(cudaDevAttrL2CacheSize),
          .clock_hz = 1e3 * attribute(cudaDevAttrClockRate),
          .memory_clock_hz = 1e3 * attribute(cudaDevAttrMemoryClockRate),
          .bus_bytes = attribute(cudaDevAttrGlobalMemoryBusWidth) / 8};
}
std::int64_t runtime_version() {
  int version = 0;
  check_cuda(cudaRuntimeGetVersion(&version), "version of the runtime");
  return version;
}
#else
constexpr std::size_t kArenaBytes = std::size_t{8} << 20;

DeviceFacts device_facts() { return {1e9, 1e6, 1e9, 1e9, 32}; }
std::int64_t runtime_version() { return 0; }
#endif

/// Dense 16-bit floating-point operations a cycle of one processor: 312 TFLOP/s of 108 at 1.41 GHz (A100), 989 of 132
/// at 1.83 GHz (H100 SXM), data sheets. Others are taken to be no faster than the last.
double flops_a_cycle(int generation) { return generation / 10 == 8 ? 2048 : 4096; }

class GpuBackend final : public SweepBackend {
 public:
  GpuBackend(const ModelShape& model, const SweepOptions& o)
      : model_(model), facts_(device_facts()), device_(make_gpu_device(live_model_of(model), {})),
        engine_(*device_, {.max_sequences = o.max_sequences, .max_context = o.max_context}),
        arena_(kArenaBytes, product_table(*device_)) {}

  std::string_view name() const override { return "cuda"; }
  double value_bytes() const override { return 2; }
  std::int64_t row_tile() const override { return engine_.row_tile(); }
  double memory_bytes() const override { return facts_.memory_bytes; }
  double units() const override { return device_processors(); }
  double drift_limit() const override { return 3; }                // kernels.md section 3.2

  Value machine() const override {
    Value v = Value::object();
    v["processor"] = device_name();
    v["processors"] = static_cast<std::int64_t>(device_processors());
    v["capability"] = static_cast<std::int64_t>(device_generation());
    v["memory_bytes"] = facts_.memory_bytes;
    v["l2_bytes"] = facts_.l2_bytes;
    v["clock_mhz"] = facts_.clock_hz * 1e-6;
    v["memory_clock_mhz"] = facts_.memory_clock_hz * 1e-6;
    v["cuda_runtime"] = runtime_version();
#if defined(ORRERY_GPU_CUDA)
    if (const auto nvml = management()) {
      v["driver"] = nvml->driver();
      v["power_limit_w"] = nvml->limit_watts();
    }
#endif
    return v;
  }

  /// Of clocks and widths: no kernel is counted that would beat them.
  SpeedOfLight probe() override {
    SpeedOfLight s{};
    s.flops_per_s = units() * facts_.clock_hz * flops_a_cycle(device_generation());
    s.bytes_per_s = 2 * facts_.memory_clock_hz * facts_.bus_bytes;
    s.cache_bytes = facts_.l2_bytes;
    s.cache_bytes_per_s = units() * facts_.clock_hz * 128;         // what the processors' ports take
    return s;
  }
  std::string probe_source() const override {
    return "processors x clock x operations a cycle, memory clock x bus width, as the driver reports them";
  }

  Value condition() const override {
    Value v = Value::object();
#if defined(ORRERY_GPU_CUDA)
    if (const auto nvml = management()) {
      const GpuCondition c = nvml->condition();
      v["watts"] = c.watts;
      v["sm_mhz"] = c.sm_mhz;
      v["memory_mhz"] = c.memory_mhz;
      v["celsius"] = c.celsius;
    }
#endif
    return v;
  }

  std::optional<SweptPower> power() override {
#if defined(ORRERY_GPU_CUDA)
    const auto nvml = management();
    if (!nvml || nvml->joules() < 0 || nvml->condition().watts < 0) return std::nullopt;
    const auto now = [] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    SweptPower p;
    arena_.stream.wait();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    p.idle_w = nvml->condition().watts;
    p.limit_w = nvml->limit_watts();
    /// Watts and repeats a second of work that goes on for a second.
    const auto busy = [&](const std::function<void(std::size_t)>& work) {
      double start = now();
      std::size_t turn = 0;
      const auto some = [&] {
        for (int i = 0; i < 8; ++i) work(turn++);
        arena_.stream.wait();
      };
      while (now() - start < 0.3) some();
      const double joules = nvml->joules();
      const std::size_t before = turn;
      start = now();
      while (now() - start < 1) some();
      const double seconds = now() - start;
      return std::pair{(nvml->joules() - joules) / seconds, static_cast<double>(turn - before) / seconds};
    };
    const std::int64_t n = 4096;
    const auto [memory_w, copies] = busy([&](std::size_t turn) { copy_some(turn); });
    const auto [product_w, products] = busy([&](std::size_t turn) {
      arena_.product.run({.x = arena_.at(0, n * n), .w = arena_.at(turn, n * n), .y = arena_.out(n * n), .m = n, .n = n,
                          .k = n}, arena_.stream.get());
    });
    const double size = static_cast<double>(n);
    p.joules_per_byte = std::max(0.0, memory_w - p.idle_w) / (copies * 2 * kCopyBytes);
    p.joules_per_flop = std::max(0.0, product_w - p.idle_w - products * 6 * size * size * p.joules_per_byte) /
                        (products * 2 * size * size * size);
    p.source = "the device's energy counter over a second of copies and one of 4096^3 products; idle power read once";
    return p;
#else
    return std::nullopt;
#endif
  }

  std::unique_ptr<Trial> prepare(const SweepPoint& p) override {
    if (p.op == SweepOp::kStep) return std::make_unique<StepTrial>(engine_, p.batch);
    return make_gpu_trial(arena_, model_, p);
  }
  bool usable() override { return device_usable(); }

 private:
#if defined(ORRERY_GPU_CUDA)
  static constexpr double kCopyBytes = 512e6;
  void copy_some(std::size_t turn) {
    const auto n = static_cast<std::int64_t>(kCopyBytes / sizeof(Bf16));
    check_cuda(cudaMemcpyAsync(arena_.out(n), arena_.at(turn, n), static_cast<std::size_t>(kCopyBytes),
                               cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(arena_.stream.get())), "a copy");
  }
  static std::unique_ptr<Nvml> management() {
    try {
      return std::make_unique<Nvml>(nvml_library(), 0);
    } catch (const std::runtime_error&) { return nullptr; }        // no such library here: nothing is reported
  }
#endif

  ModelShape model_;
  DeviceFacts facts_;
  std::unique_ptr<LiveDevice> device_;
  LiveStepEngine engine_;
  GpuArena arena_;
};

}  // namespace

std::unique_ptr<SweepBackend> make_gpu_backend(const ModelShape& model, const SweepOptions& options) {
  if (model.experts > 0) {
    throw ConfigError("backend cuda: model \"" + model.name +
                      "\": mixture of experts: not available in this version (backend cpu measures small ones)");
  }
  try {
    return std::make_unique<GpuBackend>(model, options);
  } catch (const ConfigError&) {
    throw;
  } catch (const std::runtime_error& e) { throw ConfigError(std::string("backend cuda: ") + e.what()); }
}

}  // namespace orrery::ORRERY_GPU
