/// The batch of a step as the kernels want it, on any device: chunks of several tokens first, then single tokens, rows
/// one behind the other, block tables as one matrix. Numbers only.
///
///   StepLayout layout;   layout.fill(work);
///   layout.rows();  layout.table;  layout.last;            // valid until the next fill; memory is kept
///
/// O(tokens + blocks).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orrery {

/// New tokens of a sequence, behind `context` ones whose KV is in its blocks. A sequence has at most one in a step.
struct Work {
  std::int32_t context = 0;
  std::span<const std::int32_t> tokens{}, blocks{};
  bool logits = true;                      ///< wanted after the last token; false: this item has no row in the result
};

struct StepLayout {
  std::vector<std::int32_t> order;               ///< work items as they lie
  std::vector<std::int32_t> tokens, sequence, position;   ///< (rows): token, row of the table, place in its sequence
  std::vector<std::int32_t> q_offset;            ///< (chunks + 1) first row of a chunk
  std::vector<std::int32_t> queries, context;    ///< (chunks) new tokens; tokens before them
  std::vector<std::int32_t> length;              ///< (decodes) KV tokens of a single token's row, its own included
  std::vector<std::int32_t> table;               ///< (order, pages) blocks; -1 beyond the end of a sequence
  std::vector<std::int32_t> last;                ///< rows whose logits are wanted, in the order of the work
  std::int32_t pages = 1;                        ///< blocks of the longest table

  void fill(std::span<const Work> work);
  std::int64_t rows() const { return static_cast<std::int64_t>(tokens.size()); }
  std::int32_t chunks() const { return static_cast<std::int32_t>(queries.size()); }
  std::int32_t decodes() const { return static_cast<std::int32_t>(length.size()); }

 private:
  void fill_table(std::span<const Work> work);
  void fill_last(std::span<const Work> work);
};

}  // namespace orrery
