/// The keys and values of one layer, in pages of a pool: a page holds `page_tokens` tokens of all KV heads. A sequence
/// owns a row of the block table. Contiguous KV is the case of one page a sequence (page_tokens = the longest length),
/// so a virtually contiguous pool needs no kernels of its own.
///
///   PagedKv<float> kv{k, v, table, max_pages, 16, kv_heads, 128};
///   const float* key = kv.key(sequence, token, head);                // head_dim numbers
///
/// Plain pointers and sizes: the caller owns everything; the same struct describes device memory.
#pragma once

#include <cstdint>

namespace orrery {

template <class T>
struct PagedKv {
  T* k = nullptr;                           ///< (pages, page_tokens, kv_heads, head_dim)
  T* v = nullptr;                           ///< the same
  const std::int32_t* table = nullptr;      ///< (sequences, max_pages): page of tokens [i * page_tokens, ...)
  std::int32_t max_pages = 0;
  std::int32_t page_tokens = 16;
  std::int32_t kv_heads = 1;
  std::int32_t head_dim = 64;

  std::int64_t offset(std::int64_t sequence, std::int64_t token, std::int64_t head) const {
    const std::int64_t page = table[sequence * max_pages + token / page_tokens];
    return ((page * page_tokens + token % page_tokens) * kv_heads + head) * head_dim;
  }
  T* key(std::int64_t sequence, std::int64_t token, std::int64_t head) const {
    return k + offset(sequence, token, head);
  }
  T* value(std::int64_t sequence, std::int64_t token, std::int64_t head) const {
    return v + offset(sequence, token, head);
  }
};

}  // namespace orrery
