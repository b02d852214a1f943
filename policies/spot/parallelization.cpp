#include "policies/spot/parallelization.hpp"

#include <algorithm>

namespace orrery {
namespace {

/// One step on a stage in the middle, and what the first and the last take besides. Where there is no middle, the mean.
struct StageTime { Duration stage, ends; };

StageTime stage_time(const PipelineShape& shape, const StepShape& step) {
  Duration sum{};
  for (int s = 0; s < shape.pp; ++s) sum += shape.cost->price({&step, 1}, s).first;
  const Duration stage = shape.pp > 2 ? shape.cost->price({&step, 1}, 1).first : sum / shape.pp;
  return {stage, sum - stage * shape.pp};
}

StageTime prompts(const PipelineShape& shape, const RequestShape& r, int n) {
  const std::vector<ChunkShape> chunks(static_cast<std::size_t>(n), ChunkShape{Tokens{}, r.prompt});
  StepShape step;
  step.prefill = r.prompt * n;
  step.prefill_pairs = n * (r.prompt.value() * r.prompt.value() / 2);
  step.sequences = step.outputs = n;
  step.chunks = chunks;
  return stage_time(shape, step);
}

/// At the mean context of a request while it decodes.
StageTime token(const PipelineShape& shape, const RequestShape& r, int n) {
  StepShape step;
  step.decodes = Tokens{n};
  step.max_context = r.prompt + Tokens{r.output.value() / 2};
  step.decode_context = step.decode_context_unique = step.max_context * n;
  step.sequences = step.outputs = n;
  return stage_time(shape, step);
}

}  // namespace

Duration latency(const PipelineShape& shape, const RequestShape& r) {
  Duration first = Duration::max(), next = Duration::max();
  const int pp = shape.pp;
  const Duration hop1 = shape.cost->hop(r.prompt) * (pp - 1), hop2 = shape.cost->hop(1_tok) * (pp - 1);
  for (int m = 1; m <= shape.batch; m *= 2) {
    first = std::min(first, prompts(shape, r, shape.batch / m).stage * (pp + m - 1) / m + hop1 / m);
    next = std::min(next, token(shape, r, shape.batch / m).stage * (pp + m - 1) + hop2 / m);
  }
  return first + prompts(shape, r, shape.batch).ends + (next + token(shape, r, shape.batch).ends) * r.output.value();
}

Choice choose_shape(std::span<const PipelineShape> shapes, std::span<const Duration> latencies, int devices,
                    double rate) {
  Choice best;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const PipelineShape& s = shapes[i];
    Choice c{static_cast<int>(i), std::min(devices / s.devices(), s.most), latencies[i], 0};
    if (c.instances == 0) continue;
    c.rate = static_cast<double>(c.instances) * s.batch / to_seconds(c.latency);
    const bool carries = c.rate >= rate, best_carries = best.shape >= 0 && best.rate >= rate;
    if (best.shape < 0 || (carries && !best_carries)) {
      best = c;
      continue;
    }
    if (carries != best_carries) continue;
    const int used = c.instances * s.devices();
    const int best_used = best.instances * shapes[static_cast<std::size_t>(best.shape)].devices();
    const bool better = carries ? c.latency < best.latency || (c.latency == best.latency && used < best_used)
                                : c.rate > best.rate || (c.rate == best.rate && used < best_used);
    if (better) best = c;
  }
  return best;
}

}  // namespace orrery
