#include "calibrate/step/cpu_step_engine.hpp"

#include <stdexcept>

#include "calibrate/clock.hpp"
#include "kernels/engine/decoder.hpp"
#include "kernels/sampling/sampling.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

std::int32_t small(std::int64_t n) { return static_cast<std::int32_t>(n); }

DecoderShape decoder_shape(const ModelShape& m, std::int64_t positions) {
  if (!m.gated) throw ConfigError("model \"" + m.name + "\": the CPU engine has gated feed-forward layers only");
  return {.layers = small(m.layers),
          .hidden = small(m.hidden),
          .heads = small(m.heads),
          .kv_heads = small(m.kv_heads),
          .head_dim = small(m.head_dim),
          .ffn = small(m.ffn),
          .vocab = small(m.vocabulary),
          .max_positions = small(positions)};
}

class CpuStepEngine final : public StepEngine {
 public:
  CpuStepEngine(const DecoderShape& shape, const CpuStepEngineOptions& o)
      : shape_(shape),
        weights_(shape, o.seed),
        decoder_(shape, weights_),
        pages_(ceil_div(o.max_context, o.block_tokens)),
        memory_({.shape = shape, .blocks = small(o.max_sequences * pages_), .block_tokens = small(o.block_tokens)}) {
    for (std::int32_t b = 0; b < memory_.config().blocks; ++b) blocks_.push_back(b);
    fill();
  }

  std::string_view name() const override { return "cpu"; }
  std::int64_t row_tile() const override { return 3; }  // kernels/common/simd.cpp, TileShape of float with AVX2

  double run(const StepBatch& batch) override {
    tokens_.clear();
    work_.clear();
    for (const ChunkShape& c : batch.chunks) add(c.context.value(), c.q.value());
    for (const Tokens context : batch.decodes) add(context.value() - 1, 1);
    for (std::size_t i = 0, at = 0; i < work_.size(); at += work_[i++].tokens.size()) {  // tokens_ has its final place
      work_[i].tokens = {tokens_.data() + at, work_[i].tokens.size()};
      const auto need = static_cast<std::size_t>(ceil_div(
          work_[i].context + static_cast<std::int64_t>(work_[i].tokens.size()), memory_.config().block_tokens));
      const auto pages = static_cast<std::size_t>(pages_), first = i * pages;
      if (need > pages || first + need > blocks_.size()) {
        throw std::length_error("cpu step engine: a batch larger than max_sequences sequences of max_context tokens");
      }
      work_[i].blocks = std::span<const std::int32_t>(blocks_).subspan(first, need);
    }
    const std::vector<SampleParams> params(work_.size());
    next_.resize(work_.size());
    const double begin = thread_cpu_seconds();
    const auto logits = decoder_.step(work_, memory_);
    sample(SampleArgs<float>{.logits = logits.data(),
                             .vocab = shape_.vocab,
                             .rows = static_cast<std::int64_t>(work_.size()),
                             .params = params.data(),
                             .out = next_.data()});
    return thread_cpu_seconds() - begin;
  }

 private:
  void add(std::int64_t context, std::int64_t q) {
    const auto at = tokens_.size();
    for (std::int64_t t = 0; t < q; ++t)
      tokens_.push_back(small(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(shape_.vocab)))));
    work_.push_back({.context = small(context), .tokens = {tokens_.data() + at, static_cast<std::size_t>(q)}});
  }

  /// Contexts are read, never computed: they must hold numbers as a prompt would leave them.
  void fill() {
    const auto pages = small(static_cast<std::int64_t>(blocks_.size()));
    for (std::int32_t l = 0; l < shape_.layers; ++l) {
      const PagedKv<float> kv = memory_.layer(l, blocks_.data(), pages);
      for (std::int64_t t = 0; t < std::int64_t{pages} * memory_.config().block_tokens; ++t) {
        for (std::int32_t h = 0; h < kv.kv_heads; ++h) {
          for (std::int32_t d = 0; d < kv.head_dim; ++d) {
            kv.key(0, t, h)[d] = static_cast<float>(rng_.uniform() - 0.5);
            kv.value(0, t, h)[d] = static_cast<float>(rng_.uniform() - 0.5);
          }
        }
      }
    }
  }

  DecoderShape shape_;
  Weights<float> weights_;
  Decoder<float> decoder_;
  std::int64_t pages_;                 ///< of a sequence
  KvMemory<float> memory_;
  std::vector<std::int32_t> blocks_;   ///< sequence i has those from i * pages_ on
  Rng rng_{1, Purpose::kFuzz, 2};
  std::vector<std::int32_t> tokens_, next_;
  std::vector<Work> work_;
};

}  // namespace

std::unique_ptr<StepEngine> make_cpu_step_engine(const ModelShape& model, const CpuStepEngineOptions& options) {
  try {
    return std::make_unique<CpuStepEngine>(decoder_shape(model, options.max_context), options);
  } catch (const std::invalid_argument& e) {
    throw ConfigError("model \"" + model.name + "\": the CPU engine: " + e.what());
  }
}

}  // namespace orrery
