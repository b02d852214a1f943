#include "kernels/attention_mixed/attention_mixed.hpp"

#include "kernels/attention_decode/tile.hpp"
#include "kernels/attention_prefill/tile.hpp"

namespace orrery {

template <class T>
void attention_mixed(const MixedArgs<T>& a) {
  union {                                   // never both at once
    PrefillScratch<Accum<T>> prefill;
    DecodeScratch<Accum<T>> decode;
  } scratch;
  for (std::int64_t i = 0; i < a.tile_count; ++i) {
    LaunchTile tile = a.tiles[i];
    if (!tile.decode) {
      prefill_tile(a.prefill, tile, scratch.prefill);
    } else {
      tile.sequence -= a.prefill.sequences;
      decode_tile(a.decode.rows, PagedSource<T>{a.decode.kv, tile.sequence}, tile, false, scratch.decode);
    }
  }
  merge_partials(a.decode.rows);
}

KERNEL_INSTANTIATE(attention_mixed, MixedArgs)

}  // namespace orrery
