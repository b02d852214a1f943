#include <chrono>
#include <stdexcept>

#include "calibrate/live/gpu_device.hpp"
#include "calibrate/weights/load.hpp"
#include "kernels/engine/gpu_decoder.hpp"
#include "kernels/gemm/large_product.hpp"
#include "kernels/gemm/profile_products.hpp"
#include "sim/config/value.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class GpuReplica final : public LiveReplica {
 public:
  GpuReplica(const DecoderShape& shape, const GpuWeights& weights, DeviceGemm& product, DeviceStream& stream,
             const LiveDevice::Kv& kv)
      : stream_(stream),
        decoder_(shape, weights, product, stream, {.blocks = kv.blocks, .block_tokens = kv.block_tokens}) {
    warm_up(kv.block_tokens);
  }

  double seconds() override {
    stream_.wait();
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count() -
           decoder_.preparing_seconds();
  }

  void copy(std::span<const SwapCopy> copies, std::int32_t host_blocks) override {
    decoder_.memory().reserve_swap(host_blocks);
    for (std::size_t i = 0; i < copies.size();) {
      const bool out = copies[i].out;
      pairs_.clear();
      for (; i < copies.size() && copies[i].out == out; ++i) {
        pairs_.push_back(out ? copies[i].block : copies[i].host);
        pairs_.push_back(out ? copies[i].host : copies[i].block);
      }
      decoder_.memory().copy(out ? GpuKvMemory::Way::kOut : GpuKvMemory::Way::kIn, pairs_, stream_);
    }
  }

  std::span<const std::int32_t> run(std::span<const Work> work) override { return decoder_.step(work); }

 private:
  /// Loads the kernels of prompts: those of graphs are loaded when these are made.
  void warm_up(std::int32_t block_tokens) {
    const std::vector<std::int32_t> tokens(static_cast<std::size_t>(std::max(2, block_tokens))),
        block{decoder_.memory().scratch()};
    const auto all = std::span(tokens).first(static_cast<std::size_t>(std::min(2, block_tokens)));
    const Work work[] = {{.tokens = all, .blocks = block}, {.tokens = all.first(1), .blocks = block}};
    decoder_.step(work);
    decoder_.step({work, 1});
  }

  DeviceStream& stream_;
  GpuDecoder decoder_;
  std::vector<std::int64_t> pairs_;
};

class GpuDevice final : public LiveDevice {
 public:
  GpuDevice(const DecoderShape& shape, const LiveDeviceOptions& o)
      : shape_(shape),
        weights_(o.weights.empty() ? make_gpu_weights(shape, o.seed, stream_)
                                   : upload_weights(shape, load_weights<Bf16>(SafetensorsFile(o.weights), shape))),
        product_(profiled(), std::ref(large_), device_processors()) {}

  std::unique_ptr<LiveReplica> replica(const Kv& kv) const override {
    return std::make_unique<GpuReplica>(shape_, weights_, product_, stream_, kv);
  }
  std::string name() const override { return "cuda"; }
  std::string hardware() const override { return device_name(); }
  std::string clock() const override { return "wall clock, the device idle before and after a step"; }
  std::int32_t vocabulary() const override { return shape_.vocab; }
  const GemmTable& products() const { return product_.table(); }

 private:
  /// Measured on a GPU; on the emulator times mean nothing, and the defaults stay.
  GemmTable profiled() {
    GemmTable table;
#if defined(ORRERY_GPU_CUDA)
    if (std::int64_t{shape_.vocab} < 2 * kMostFlatRows) return table;         // too few numbers to multiply with
    const std::int64_t hidden = shape_.hidden, width = std::int64_t{shape_.heads} * shape_.head_dim;
    const auto measure = [&](std::int64_t n, std::int64_t k, const auto& tensor) {
      if (kMostFlatRows * k > std::int64_t{shape_.vocab} * hidden) return;
      std::vector<const Bf16*> all;
      for (const auto& layer : weights_.layers) all.push_back(tensor(layer).data());
      table.set(profile_products(n, k, all, weights_.embedding.data(), std::ref(large_), stream_));
    };
    using Layer = LayerTensors<DeviceBuffer<Bf16>>;
    measure(shape_.qkv(), hidden, [](const Layer& l) -> const auto& { return l.qkv; });
    measure(hidden, width, [](const Layer& l) -> const auto& { return l.out; });
    measure(shape_.vocab, hidden, [&](const Layer&) -> const auto& { return weights_.head; });
    if (shape_.experts > 0) return table;
    measure(2ll * shape_.ffn, hidden, [](const Layer& l) -> const auto& { return l.gate_up; });
    measure(hidden, shape_.ffn, [](const Layer& l) -> const auto& { return l.down; });
#endif
    return table;
  }

  DecoderShape shape_;
  mutable DeviceStream stream_;              ///< replicas run in turn
  GpuWeights weights_;
  LargeProduct large_;
  mutable DeviceGemm product_;
};

}  // namespace

const GemmTable& product_table(const LiveDevice& device) { return dynamic_cast<const GpuDevice&>(device).products(); }

std::unique_ptr<LiveDevice> make_gpu_device(const LiveModel& model, const LiveDeviceOptions& o) {
  const std::string who = "model \"" + model.name + "\": the CUDA engine: ";
  if (!o.dtype.empty() && o.dtype != "bf16") throw ConfigError("dtype \"" + o.dtype + "\": the CUDA engine has bf16");
  if (const std::string error = gpu_shape_error(model.shape); !error.empty()) throw ConfigError(who + error);
  try {
    return std::make_unique<GpuDevice>(model.shape, o);
  } catch (const ConfigError&) {
    throw;
  } catch (const std::runtime_error& e) { throw ConfigError(who + e.what()); }
}

}  // namespace orrery::ORRERY_GPU
