#include "calibrate/step/step_engine.hpp"

#include <algorithm>

namespace orrery {

std::int64_t StepBatch::tokens() const {
  std::int64_t n = static_cast<std::int64_t>(decodes.size());
  for (const ChunkShape& c : chunks) n += c.q.value();
  return n;
}

StepShape StepBatch::shape() const {
  StepShape s;
  s.decodes = Tokens{static_cast<std::int64_t>(decodes.size())};
  for (const Tokens context : decodes) {
    s.decode_context += context;
    s.max_context = std::max(s.max_context, context);
  }
  s.decode_context_unique = s.decode_context;
  for (const ChunkShape& c : chunks) {
    s.prefill += c.q;
    s.prefill_pairs += c.q.value() * c.context.value() + c.q.value() * c.q.value() / 2;
  }
  s.sequences = static_cast<std::int32_t>(decodes.size() + chunks.size());
  s.outputs = s.sequences;
  s.chunks = chunks;
  return s;
}

}  // namespace orrery
