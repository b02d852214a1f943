#include "kernels/attention_decode/attention_decode.hpp"

#include "kernels/attention_decode/tile.hpp"

namespace orrery {

template <class T>
void attention_partial(const DecodeArgs<T>& a) {
  decode_tiles(a.rows, [&](std::int32_t sequence) { return PagedSource<T>{a.kv, sequence}; });
}

template <class T>
void merge_partials(const DecodeRows<T>& a) {
  for (std::int64_t row = 0; row < static_cast<std::int64_t>(a.batch) * a.heads; ++row) merge_row(a, row);
}

template <class T>
void attention_decode(const DecodeArgs<T>& a) {
  attention_partial(a);
  merge_partials(a.rows);
}

KERNEL_INSTANTIATE(attention_partial, DecodeArgs)
KERNEL_INSTANTIATE(merge_partials, DecodeRows)
KERNEL_INSTANTIATE(attention_decode, DecodeArgs)

}  // namespace orrery
