#include "kernels/attention_prefill/attention_prefill.hpp"

#include "kernels/attention_prefill/tile.hpp"

namespace orrery {

template <class T>
void attention_prefill(const PrefillArgs<T>& a) {
  PrefillScratch<Accum<T>> scratch;
  for (std::int64_t i = 0; i < a.tile_count; ++i) prefill_tile(a, a.tiles[i], scratch);
}

KERNEL_INSTANTIATE(attention_prefill, PrefillArgs)

}  // namespace orrery
