/// The kernel and its launches for any KV format. A source holds the arguments and makes the format:
///
///   struct Source { DecodeRows<Bf16> rows; ...; template <int kHeadDim> Format of(tile, kv_len) const; };
///   launch_decode(source, stream);
#pragma once

#include "kernels/attention_decode/decode_block.cuh"
#include "kernels/attention_decode/merge_gpu.hpp"
#include "kernels/device/buffer.hpp"

namespace orrery::ORRERY_GPU {

struct DecodePass {
  bool only_outside = false, partial = false;
};

template <class Source, int kHeadDim, bool kUnified>
DEVICE_KERNEL(kDecodeThreads, 2) decode_kernel(DEVICE_PARAMETER Source source, DecodePass pass) {
  const DecodeRows<Bf16>& a = source.rows;
  const LaunchTile tile = global_load(a.tiles + block_index());
  if (tile.q_begin == tile.q_end) return;      // fills a launch up to the size of a graph
  const std::int32_t kv_len = global_load(a.kv_len + tile.sequence);
  const auto row0 = static_cast<std::int32_t>(block_index_y()) * kDecodeRows;
  const DecodeTile t{a, tile, row0, pass.only_outside, pass.partial};
  const auto format = source.template of<kHeadDim>(tile.sequence, tile.kv_head, kv_len);
  decode_block<std::remove_const_t<decltype(format)>, kHeadDim, kUnified>(t, format, kv_len);
}

template <int kHeadDim, class Source>
void launch_decode_passes(const Source& source, bool partial, Stream stream) {
  using Format = decltype(source.template of<kHeadDim>(0, 0, 0));
  const DecodeRows<Bf16>& a = source.rows;
  const LaunchShape shape{.grid = {static_cast<unsigned>(a.tile_count), ceil_div(a.heads / a.kv_heads, kDecodeRows)},
                          .threads = kDecodeThreads,
                          .shared_bytes = decode_shared_bytes<Format, kHeadDim>()};
  const bool unified = a.softmax == SoftmaxMode::kUnified;
  if (unified) {
    device_fill(a.outside, 0, static_cast<std::size_t>(a.batch) * static_cast<std::size_t>(a.heads), stream);
  }
  if constexpr (!Format::kUnifiedMaximum) {
    launch(decode_kernel<Source, kHeadDim, false>, shape, stream, source, DecodePass{false, partial});
  } else if (unified) {
    launch(decode_kernel<Source, kHeadDim, true>, shape, stream, source, DecodePass{false, partial});
    launch(decode_kernel<Source, kHeadDim, false>, shape, stream, source, DecodePass{true, partial});
  } else {
    launch(decode_kernel<Source, kHeadDim, false>, shape, stream, source, DecodePass{false, partial});
  }
}

/// The tiles; and, unless partial results are what is wanted, the merging of rows that are split.
template <class Source>
void launch_decode(const Source& source, bool partial, Stream stream) {
  const DecodeRows<Bf16>& a = source.rows;
  if (a.head_dim == 128) launch_decode_passes<128>(source, partial, stream);
  else launch_decode_passes<64>(source, partial, stream);
  if (partial || a.tile_count == std::int64_t{a.batch} * a.kv_heads) return;
  merge_parts({.partials = a.partials, .out = a.out, .heads = a.heads, .head_dim = a.head_dim, .sequences = a.batch},
                 stream);
}

}  // namespace orrery::ORRERY_GPU
