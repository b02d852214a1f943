#include "kernels/engine/gpu_weights.hpp"
#include "kernels/engine/weights_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

std::vector<const std::vector<Bf16>*> tensors_of(const Weights<Bf16>& w) {
  std::vector<const std::vector<Bf16>*> all{&w.embedding};
  for (const LayerWeights<Bf16>& l : w.layers)
    for (const auto* t : {&l.attention_norm, &l.qkv, &l.out, &l.ffn_norm, &l.router, &l.gate_up, &l.down})
      all.push_back(t);
  all.push_back(&w.final_norm);
  all.push_back(&w.head);
  return all;
}

}  // namespace

GpuWeights make_gpu_weights(const DecoderShape& shape, std::uint64_t seed, DeviceStream& stream) {
  GpuWeights w;
  std::uint64_t tensor = 0;
  const auto make = [&](DeviceBuffer<Bf16>& x, const WeightStream& s, std::int64_t n) {
    x = DeviceBuffer<Bf16>(static_cast<std::size_t>(n), "weights");
    if (n > 0) make_weights(s, x.data(), n, stream.get());
    ++tensor;
  };
  for_each_tensor(
      shape, w,
      [&](DeviceBuffer<Bf16>& x, std::int64_t rows, std::int64_t columns) {
        make(x, matrix_stream(seed, tensor, columns), rows * columns);
      },
      [&](DeviceBuffer<Bf16>& x, std::int64_t n) { make(x, norm_stream(seed, tensor), n); });
  stream.wait();
  return w;
}

GpuWeights upload_weights(const DecoderShape& shape, const Weights<Bf16>& weights) {
  GpuWeights w;
  const auto all = tensors_of(weights);
  std::size_t next = 0;
  const auto take = [&](DeviceBuffer<Bf16>& x) { x = DeviceBuffer<Bf16>(*all[next++], "weights"); };
  for_each_tensor(
      shape, w, [&](DeviceBuffer<Bf16>& x, std::int64_t, std::int64_t) { take(x); },
      [&](DeviceBuffer<Bf16>& x, std::int64_t) { take(x); });
  return w;
}

}  // namespace orrery::ORRERY_GPU
