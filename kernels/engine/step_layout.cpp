#include "kernels/engine/step_layout.hpp"

#include <algorithm>

namespace orrery {

void StepLayout::fill(std::span<const Work> work) {
  for (auto* v : {&order, &tokens, &sequence, &position, &queries, &context, &length}) v->clear();
  for (const bool single : {false, true}) {
    for (std::size_t i = 0; i < work.size(); ++i) {
      if ((work[i].tokens.size() == 1) == single) order.push_back(static_cast<std::int32_t>(i));
    }
  }
  q_offset.assign(1, 0);
  std::int32_t at = 0;
  for (const std::int32_t i : order) {
    const Work& w = work[static_cast<std::size_t>(i)];
    for (std::size_t t = 0; t < w.tokens.size(); ++t) {
      tokens.push_back(w.tokens[t]);
      sequence.push_back(at);
      position.push_back(w.context + static_cast<std::int32_t>(t));
    }
    ++at;
    if (w.tokens.size() == 1) {
      length.push_back(w.context + 1);
    } else {
      context.push_back(w.context);
      queries.push_back(static_cast<std::int32_t>(w.tokens.size()));
      q_offset.push_back(static_cast<std::int32_t>(tokens.size()));
    }
  }
  fill_table(work);
  fill_last(work);
}

void StepLayout::fill_table(std::span<const Work> work) {
  std::size_t most = 1;
  for (const Work& w : work) most = std::max(most, w.blocks.size());
  table.assign(work.size() * most, -1);
  std::size_t at = 0;
  for (const std::int32_t i : order) {
    const auto blocks = work[static_cast<std::size_t>(i)].blocks;
    std::copy(blocks.begin(), blocks.end(), table.begin() + static_cast<std::ptrdiff_t>(at++ * most));
  }
  pages = static_cast<std::int32_t>(most);
}

void StepLayout::fill_last(std::span<const Work> work) {
  std::vector<std::int32_t> end(work.size());
  std::int32_t row = 0;
  for (const std::int32_t i : order) {
    row += static_cast<std::int32_t>(work[static_cast<std::size_t>(i)].tokens.size());
    end[static_cast<std::size_t>(i)] = row;
  }
  last.clear();
  for (std::size_t i = 0; i < work.size(); ++i) {
    if (work[i].logits) last.push_back(end[i] - 1);
  }
}

}  // namespace orrery
