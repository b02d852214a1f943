/// One step of a Llama decoder on a device, in bf16: decoder.hpp by the GPU kernels, from the tokens to the tokens that
/// follow. Nothing is decided by the host between the first launch and the last.
///
///   GpuDecoder decoder(shape, weights, product, stream, {.blocks = 4096, .block_tokens = 16});
///   std::span<const std::int32_t> next = decoder.step(work);       // likeliest tokens of the items that want logits
///
/// A step copies what it is (tokens, places, block tables, launch plan) to the device in one piece, then launches; the
/// chosen tokens come back. Steps of single tokens alone are CUDA graphs, one for each number of rows (1, 2, 4, then
/// multiples of 8; at most 256) and width of the block tables (powers of two): the batch is filled up with rows that
/// live in a block of their own, the launch plan with tiles that do nothing, so that the same launches serve again with
/// other content. A graph is made when its size first comes; preparing_seconds() says how long that has taken, for who
/// measures steps: an engine in service has made them when it starts.
///
/// Sequences longer than a processor's share are split along the KV, and which product is taken depends on the number
/// of rows, so the last bits of a row depend on its batch (the CPU engine's do not).
///
/// The shape must be one of gpu_shape_error(). The weights and the product outlive the decoder; one stream. Throws
/// CudaError. O(tokens + blocks) on the host beside the launches.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "kernels/engine/gpu_kv_memory.hpp"
#include "kernels/engine/gpu_weights.hpp"
#include "kernels/engine/step_layout.hpp"
#include "kernels/gemm/device_gemm.hpp"
#include "kernels/sampling/sampling_gpu.hpp"
#include "sim/base/launch_plan.hpp"

namespace orrery::ORRERY_GPU {

/// What the GPU kernels cannot do of a shape, or "".
const char* gpu_shape_error(const DecoderShape& shape);

inline constexpr std::int32_t kMostGraphRows = 256;
/// The number of rows of the graph that runs a step of so many single tokens.
constexpr std::int32_t graph_rows(std::int32_t decodes) {
  return decodes <= 2 ? decodes : decodes <= 4 ? 4 : (decodes + 7) / 8 * 8;
}

/// Numbers that a step's launches depend on. Equal sizes, equal launches.
struct GpuStepSizes {
  std::int32_t rows = 0, chunks = 0, decodes = 0, pages = 1, wanted = 0;
  std::int32_t prefill_tiles = 0, decode_tiles = 0;
  std::int32_t parts = 0;  ///< rows of partial attention results, of all heads each; 0: nothing is split
  friend auto operator<=>(const GpuStepSizes&, const GpuStepSizes&) = default;
};

class GpuDecoder {
 public:
  GpuDecoder(const DecoderShape& shape, const GpuWeights& weights, DeviceGemm& product, DeviceStream& stream,
             const GpuKvConfig& kv);
  GpuDecoder(const GpuDecoder&) = delete;
  GpuDecoder& operator=(const GpuDecoder&) = delete;

  std::span<const std::int32_t> step(std::span<const Work> work);
  GpuKvMemory& memory() { return memory_; }
  double preparing_seconds() const { return preparing_; }
  std::size_t graphs() const { return graphs_.size(); }
  std::vector<Bf16> logits() const;          ///< (wanted, vocab) of the last step; waits for the device
  /// As Decoder's; rows that filled a graph up follow those of the batch. Wait for the device.
  std::vector<std::int32_t> experts() const;
  std::vector<Bf16> router_logits() const;

 private:
  /// The content of a step on the device, all in one buffer.
  struct OnDevice {
    const LaunchTile* tiles;                 ///< prefill, then decode, or both by turns
    const std::int32_t *tokens, *sequence, *position, *q_offset, *context, *length, *offset, *table, *last;
  };
  struct Places {
    std::size_t tiles, tokens, sequence, position, q_offset, context, length, offset, table, last, bytes;
  };
  static Places places_of(const GpuStepSizes& sizes);

  std::span<const std::int32_t> decode_step(std::size_t items);
  std::span<const std::int32_t> mixed_step();
  void fill_up(std::int32_t rows, std::int32_t pages);
  LaunchPlan plan_of_decodes(std::int64_t most_tiles) const;
  void upload(const GpuStepSizes& sizes, const LaunchPlan& plan, const LaunchPlan& decodes);
  GpuStepSizes sizes_of_graph(std::int32_t rows, std::int32_t pages) const;
  void reserve(const GpuStepSizes& sizes);
  void enqueue(const GpuStepSizes& sizes);
  void layer(std::int32_t index, const GpuStepSizes& sizes, const OnDevice& at);
  void attention(std::int32_t index, const GpuStepSizes& sizes, const OnDevice& at);
  void dense_ffn(const LayerTensors<DeviceBuffer<Bf16>>& w, std::int64_t rows);
  void expert_ffn(const LayerTensors<DeviceBuffer<Bf16>>& w, std::int64_t rows);
  void linear(const DeviceBuffer<Bf16>& x, const DeviceBuffer<Bf16>& w, std::int64_t rows, std::int64_t n,
              std::int64_t k, DeviceBuffer<Bf16>& y);
  bool uses_warpgroups() const;
  OnDevice on_device(const GpuStepSizes& sizes) const;

  DecoderShape shape_;
  const GpuWeights& weights_;
  DeviceGemm& product_;
  DeviceStream& stream_;
  int processors_;
  GpuKvMemory memory_;
  StepLayout batch_;
  DeviceBuffer<float> cosine_, sine_;
  // Of a step: its content, activations of `rows_` rows, partial results.
  PinnedBuffer<unsigned char> content_;
  DeviceBuffer<unsigned char> device_content_;
  std::int64_t rows_ = 0, wanted_ = 0, parts_ = 0;
  DeviceBuffer<Bf16> residual_, normed_, qkv_, attended_, projected_, gate_up_, gated_, expert_out_, last_, logits_,
      router_logits_;
  DeviceBuffer<std::int32_t> expert_ids_, routing_, chosen_;
  DeviceBuffer<float> expert_weights_, partial_;
  DeviceBuffer<SampleParams> params_;
  PinnedBuffer<std::int32_t> next_;
  std::int32_t last_wanted_ = 0, last_rows_ = 0;
  std::vector<std::int32_t> result_;
  std::map<GpuStepSizes, DeviceGraph> graphs_;
  double preparing_ = 0;
};

}  // namespace orrery::ORRERY_GPU
