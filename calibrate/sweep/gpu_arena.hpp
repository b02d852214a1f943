/// What the trials of a GPU sweep share, so that preparing one is cheap: random numbers that serve as weights, inputs
/// and KV, buffers of a trial one behind the other, taken in turn; memory for results; the engine's linear layers.
///
///   GpuArena arena(4 << 30, table);   const Bf16* w = arena.at(turn, n * k);   Bf16* y = arena.out(m * n);
///
/// out() and partials() give the same memory to whoever asks next: one trial lives at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stdexcept>

#include "kernels/device/device_clock.hpp"
#include "kernels/engine/weights_gpu.hpp"
#include "kernels/gemm/device_gemm.hpp"
#include "kernels/gemm/large_product.hpp"

namespace orrery::ORRERY_GPU {

class GpuArena {
 public:
  /// `table`: which product the engine takes.
  GpuArena(std::size_t bytes, const GemmTable& table)
      : clock(stream), product(table, std::ref(large_), device_processors()), numbers_(bytes / sizeof(Bf16), "arena") {
    make_weights({weight_key(1, 1), 0, 1}, numbers_.data(), static_cast<std::int64_t>(numbers_.size()), stream.get());
    stream.wait();
  }

  /// The buffer of this turn, of n numbers.
  Bf16* at(std::size_t turn, std::int64_t n) const {
    const std::size_t each = (static_cast<std::size_t>(n) + 63) / 64 * 64;
    if (each > numbers_.size()) throw std::length_error("a sweep point needs more memory than the arena has");
    return numbers_.data() + each * (turn % std::max<std::size_t>(1, numbers_.size() / each));
  }
  Bf16* out(std::int64_t n) {
    if (n > static_cast<std::int64_t>(out_.size())) out_ = DeviceBuffer<Bf16>(static_cast<std::size_t>(n), "results");
    return out_.data();
  }
  float* partials(std::int64_t n) {
    if (n > static_cast<std::int64_t>(partials_.size()))
      partials_ = DeviceBuffer<float>(static_cast<std::size_t>(n), "partial results");
    return partials_.data();
  }

  DeviceStream stream;
  DeviceClock clock;

 private:
  LargeProduct large_;

 public:
  DeviceGemm product;

 private:
  DeviceBuffer<Bf16> numbers_, out_;
  DeviceBuffer<float> partials_;
};

}  // namespace orrery::ORRERY_GPU
