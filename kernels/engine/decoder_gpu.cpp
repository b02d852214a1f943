#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "kernels/attention_decode/attention_decode_gpu.hpp"
#include "kernels/attention_mixed/attention_mixed_gpu.hpp"
#include "kernels/attention_prefill/attention_prefill_gpu.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/engine/gpu_decoder.hpp"
#include "kernels/gather/gather_rows_gpu.hpp"
#include "kernels/grouped_gemm/grouped_gemm_gpu.hpp"
#include "kernels/rmsnorm/rmsnorm_gpu.hpp"
#include "kernels/rope_append/rope_append.hpp"
#include "kernels/rope_append/rope_append_gpu.hpp"
#include "kernels/swiglu/swiglu_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

using Clock = std::chrono::steady_clock;

/// Rows of a large product: few numbers of them, so that the library chooses an algorithm rarely.
std::int64_t product_rows(std::int64_t rows) { return rows <= 64 ? rows : (rows + 63) / 64 * 64; }

DeviceBuffer<Bf16> activations(std::int64_t rows, std::int64_t width) {
  const auto n = static_cast<std::size_t>(rows * width);
  DeviceBuffer<Bf16> x(n, "activations");
  if (n > 0) device_fill(x.data(), 0, n * sizeof(Bf16), nullptr);    // rows beyond the batch are multiplied, too
  return x;
}

DeviceBuffer<float> table_of(const float* values, std::int64_t n) {
  return DeviceBuffer<float>(std::vector<float>(values, values + n), "rope table");
}

}  // namespace

const char* gpu_shape_error(const DecoderShape& s) {
  if (s.head_dim != 64 && s.head_dim != 128) return "head_dim: the CUDA attention kernels have 64 and 128";
  if (s.kv_heads < 1 || s.heads % s.kv_heads != 0 || s.heads / s.kv_heads > kMaxRows)
    return "heads: expected a multiple of kv_heads, at most 64 per KV head";
  if (s.hidden % 8 != 0 || s.hidden > 16384) return "hidden: expected a multiple of 8, at most 16384";
  if (s.ffn % 8 != 0) return "ffn: expected a multiple of 8";
  if (s.vocab % 8 != 0 || s.vocab >= 1 << 22) return "vocab: expected a multiple of 8, below 2^22";
  if (s.experts > 256 || (s.experts > 0 && (s.top_k < 1 || s.top_k > 8 || s.top_k > s.experts)))
    return "experts: expected at most 256, of which a token takes at most 8";
  return "";
}

GpuDecoder::GpuDecoder(const DecoderShape& shape, const GpuWeights& weights, DeviceGemm& product, DeviceStream& stream,
                       const GpuKvConfig& kv)
    : shape_(shape), weights_(weights), product_(product), stream_(stream), processors_(device_processors()),
      memory_(shape, kv) {
  // No sequence is longer than the pool.
  const std::int64_t positions =
      std::min<std::int64_t>(shape.max_positions, std::int64_t{kv.blocks} * kv.block_tokens + kv.block_tokens);
  const RopeTable<float> rope(positions, shape.head_dim, shape.rope_base);
  const std::int64_t n = positions * shape.head_dim / 2;
  cosine_ = table_of(rope.cosine(), n);
  sine_ = table_of(rope.sine(), n);
  const std::int64_t hidden = shape.hidden, width = std::int64_t{shape.heads} * shape.head_dim;
  product_.reserve(shape.qkv(), hidden);
  product_.reserve(hidden, width);
  product_.reserve(shape.vocab, hidden);
  if (shape.experts > 0) {
    product_.reserve(shape.experts, hidden);
  } else {
    product_.reserve(2ll * shape.ffn, hidden);
    product_.reserve(hidden, shape.ffn);
  }
  constexpr std::int32_t kUsualPages = 64;
  GpuStepSizes most = sizes_of_graph(kMostGraphRows, kUsualPages);
  most.parts = sizes_of_graph(1, kUsualPages).parts;                 // few rows are split most
  reserve(most);
}

std::span<const std::int32_t> GpuDecoder::step(std::span<const Work> work) {
  batch_.fill(work);
  if (batch_.rows() == 0) return {};
  if (batch_.chunks() > 0 || batch_.decodes() > kMostGraphRows) return mixed_step();
  decode_step(work.size());
  result_.clear();
  for (std::size_t i = 0; i < work.size(); ++i) {   // rows lie as the work does; all have been given a token
    if (work[i].logits) result_.push_back(next_.data()[i]);
  }
  return result_;
}

std::span<const std::int32_t> GpuDecoder::mixed_step() {
  GpuStepSizes s{.rows = static_cast<std::int32_t>(batch_.rows()),
                 .chunks = batch_.chunks(),
                 .decodes = batch_.decodes(),
                 .pages = batch_.pages,
                 .wanted = static_cast<std::int32_t>(batch_.last.size())};
  const LaunchPlan prefill = plan_prefill({.queries = batch_.queries,
                                           .contexts = batch_.context,
                                           .kv_heads = shape_.kv_heads,
                                           .block = kKvBlock,
                                           .rows = prefill_tile_tokens(shape_.heads / shape_.kv_heads)});
  const LaunchPlan decodes = plan_of_decodes(0);
  LaunchPlan plan = prefill;
  if (uses_warpgroups()) plan.tiles.insert(plan.tiles.end(), decodes.tiles.begin(), decodes.tiles.end());
  else plan = plan_mixed(prefill, decodes);
  s.prefill_tiles = static_cast<std::int32_t>(prefill.tiles.size());
  s.decode_tiles = static_cast<std::int32_t>(decodes.tiles.size());
  for (const std::int32_t splits : decodes.splits) s.parts += splits;
  if (s.parts == s.decodes) s.parts = 0;
  reserve(s);
  upload(s, plan, decodes);
  enqueue(s);
  stream_.download(next_.data(), chosen_.data(), static_cast<std::size_t>(s.wanted) * sizeof(std::int32_t));
  stream_.wait();
  last_wanted_ = s.wanted;
  last_rows_ = s.rows;
  return {next_.data(), static_cast<std::size_t>(s.wanted)};
}

/// By the graph of this size.
std::span<const std::int32_t> GpuDecoder::decode_step(std::size_t items) {
  const std::int32_t rows = graph_rows(batch_.decodes());
  const auto pages = static_cast<std::int32_t>(std::bit_ceil(static_cast<std::uint32_t>(std::max(batch_.pages, 8))));
  fill_up(rows, pages);
  const GpuStepSizes s = sizes_of_graph(rows, pages);
  LaunchPlan plan = plan_of_decodes(s.decode_tiles);
  const LaunchPlan decodes = plan;
  plan.tiles.resize(static_cast<std::size_t>(s.decode_tiles), LaunchTile{.q_begin = 0, .q_end = 0});
  reserve(s);
  upload(s, plan, decodes);
  auto graph = graphs_.find(s);
  if (graph == graphs_.end()) {
    const auto begin = Clock::now();
    enqueue(s);                              // loads the kernels, which recording must not do
    stream_.wait();
    graph = graphs_.emplace(s, DeviceGraph(stream_, [this, s] { enqueue(s); })).first;
    preparing_ += std::chrono::duration<double>(Clock::now() - begin).count();
  }
  graph->second.launch(stream_);
  stream_.download(next_.data(), chosen_.data(), items * sizeof(std::int32_t));
  stream_.wait();
  last_wanted_ = static_cast<std::int32_t>(items);
  last_rows_ = rows;
  return {next_.data(), items};
}

/// Room for two waves of tiles, or one tile a row and KV head where that is more: then nothing is split.
GpuStepSizes GpuDecoder::sizes_of_graph(std::int32_t rows, std::int32_t pages) const {
  GpuStepSizes s{.rows = rows, .chunks = 0, .decodes = rows, .pages = pages, .wanted = rows};
  s.decode_tiles = std::max(rows * shape_.kv_heads, 2 * processors_);
  s.parts = s.decode_tiles == rows * shape_.kv_heads ? 0 : s.decode_tiles / shape_.kv_heads;
  return s;
}

/// Rows of one token at place 0 of the block that is nobody's, up to the graph's number; tables of its width.
void GpuDecoder::fill_up(std::int32_t rows, std::int32_t pages) {
  const std::int32_t real = batch_.decodes(), width = batch_.pages;
  std::vector<std::int32_t> table(static_cast<std::size_t>(rows) * static_cast<std::size_t>(pages), -1);
  for (std::int32_t r = 0; r < rows; ++r) {
    const auto to = table.begin() + std::ptrdiff_t{r} * pages;
    if (r < real) std::copy_n(batch_.table.begin() + std::ptrdiff_t{r} * width, width, to);
    else *to = memory_.scratch();
  }
  batch_.table = std::move(table);
  batch_.pages = pages;
  batch_.last.resize(static_cast<std::size_t>(rows));
  for (std::int32_t r = 0; r < rows; ++r) batch_.last[static_cast<std::size_t>(r)] = r;
  for (std::int32_t r = real; r < rows; ++r) {
    batch_.tokens.push_back(0);
    batch_.sequence.push_back(r);
    batch_.position.push_back(0);
    batch_.length.push_back(1);
  }
}

LaunchPlan GpuDecoder::plan_of_decodes(std::int64_t most_tiles) const {
  return plan_decode({.contexts = batch_.length,
                      .kv_heads = shape_.kv_heads,
                      .units = processors_,
                      .block = kKvBlock,
                      .rule = SplitRule::kFillUnits,
                      .max_tiles = most_tiles});
}

GpuDecoder::Places GpuDecoder::places_of(const GpuStepSizes& s) {
  Places p{};
  const auto place = [&](std::size_t& at, std::int64_t n, std::size_t each) {
    at = p.bytes;
    p.bytes += (static_cast<std::size_t>(n) * each + 15) / 16 * 16;
  };
  constexpr std::size_t kInt = sizeof(std::int32_t);
  place(p.tiles, std::int64_t{s.prefill_tiles} + s.decode_tiles, sizeof(LaunchTile));
  for (std::size_t* at : {&p.tokens, &p.sequence, &p.position}) place(*at, s.rows, kInt);
  place(p.q_offset, s.chunks + 1, kInt);
  place(p.context, s.chunks, kInt);
  place(p.length, s.decodes, kInt);
  place(p.offset, s.decodes + 1, kInt);
  place(p.table, (std::int64_t{s.chunks} + s.decodes) * s.pages, kInt);
  place(p.last, s.wanted, kInt);
  return p;
}

GpuDecoder::OnDevice GpuDecoder::on_device(const GpuStepSizes& s) const {
  const Places p = places_of(s);
  const unsigned char* base = device_content_.data();
  const auto ints = [&](std::size_t at) { return reinterpret_cast<const std::int32_t*>(base + at); };
  return {reinterpret_cast<const LaunchTile*>(base + p.tiles), ints(p.tokens), ints(p.sequence), ints(p.position),
          ints(p.q_offset), ints(p.context), ints(p.length), ints(p.offset), ints(p.table), ints(p.last)};
}

void GpuDecoder::upload(const GpuStepSizes& s, const LaunchPlan& plan, const LaunchPlan& decodes) {
  const Places p = places_of(s);
  const auto put = [&](std::size_t at, const auto& values) {
    std::memcpy(content_.data() + at, values.data(), values.size() * sizeof(values[0]));
  };
  std::vector<std::int32_t> offset{0};
  for (const std::int32_t splits : decodes.splits) offset.push_back(offset.back() + splits);
  put(p.tiles, plan.tiles);
  put(p.tokens, batch_.tokens);
  put(p.sequence, batch_.sequence);
  put(p.position, batch_.position);
  put(p.q_offset, batch_.q_offset);
  put(p.context, batch_.context);
  put(p.length, batch_.length);
  put(p.offset, offset);
  put(p.table, batch_.table);
  put(p.last, batch_.last);
  stream_.upload(device_content_.data(), content_.data(), p.bytes);
}

/// Memory for a step of this size. Where some must grow, graphs know places that are no longer: they are dropped.
void GpuDecoder::reserve(const GpuStepSizes& s) {
  const std::size_t bytes = places_of(s).bytes;
  const std::int64_t rows = product_rows(s.rows), wanted = product_rows(s.wanted);
  if (bytes <= content_.size() && rows <= rows_ && wanted <= wanted_ && s.parts <= parts_) return;
  const auto begin = Clock::now();
  stream_.wait();
  graphs_.clear();
  if (bytes > content_.size()) {
    content_ = PinnedBuffer<unsigned char>(std::max(bytes, 2 * content_.size()));
    device_content_ = DeviceBuffer<unsigned char>(content_.size(), "step");
  }
  if (rows > rows_) {
    rows_ = std::max(rows, 2 * rows_);
    const std::int64_t k = shape_.experts > 0 ? shape_.top_k : 1, ffn = shape_.ffn;
    for (auto* x : {&residual_, &normed_, &projected_}) *x = activations(rows_, shape_.hidden);
    qkv_ = activations(rows_, shape_.qkv());
    attended_ = activations(rows_, std::int64_t{shape_.heads} * shape_.head_dim);
    gate_up_ = activations(rows_, 2 * k * ffn);
    gated_ = activations(rows_, k * ffn);
    if (shape_.experts > 0) {
      expert_out_ = activations(rows_, k * shape_.hidden);
      router_logits_ = activations(rows_, shape_.experts);
      expert_ids_ = DeviceBuffer<std::int32_t>(static_cast<std::size_t>(rows_ * k), "experts");
      expert_weights_ = DeviceBuffer<float>(static_cast<std::size_t>(rows_ * k), "experts' weights");
      routing_ = DeviceBuffer<std::int32_t>(static_cast<std::size_t>(2 * rows_ * k + shape_.experts + 1), "routing");
    }
  }
  if (wanted > wanted_) {
    wanted_ = std::max(wanted, 2 * wanted_);
    const auto n = static_cast<std::size_t>(wanted_);
    last_ = activations(wanted_, shape_.hidden);
    logits_ = activations(wanted_, shape_.vocab);
    params_ = DeviceBuffer<SampleParams>(std::vector<SampleParams>(n), "sampling");
    chosen_ = DeviceBuffer<std::int32_t>(n, "tokens");
    next_ = PinnedBuffer<std::int32_t>(n);
  }
  if (s.parts > parts_) {
    parts_ = std::max<std::int64_t>(s.parts, 2 * parts_);
    partial_ = DeviceBuffer<float>(static_cast<std::size_t>(parts_ * shape_.heads * (shape_.head_dim + 2)), "partials");
  }
  preparing_ += std::chrono::duration<double>(Clock::now() - begin).count();
}

void GpuDecoder::linear(const DeviceBuffer<Bf16>& x, const DeviceBuffer<Bf16>& w, std::int64_t rows, std::int64_t n,
                        std::int64_t k, DeviceBuffer<Bf16>& y) {
  product_.run({.x = x.data(), .w = w.data(), .y = y.data(), .m = product_rows(rows), .n = n, .k = k}, stream_.get());
}

void GpuDecoder::enqueue(const GpuStepSizes& s) {
  const OnDevice at = on_device(s);
  const std::int64_t hidden = shape_.hidden;
  gather_rows({weights_.embedding.data(), at.tokens, residual_.data(), s.rows, hidden}, stream_.get());
  for (std::int32_t l = 0; l < shape_.layers; ++l) layer(l, s, at);
  if (s.wanted == 0) return;
  rmsnorm({.x = projected_.data(), .residual = residual_.data(), .weight = weights_.final_norm.data(),
           .out = normed_.data(), .rows = s.rows, .dim = hidden, .eps = static_cast<float>(shape_.eps)}, stream_.get());
  gather_rows({normed_.data(), at.last, last_.data(), s.wanted, hidden}, stream_.get());
  linear(last_, weights_.head, s.wanted, shape_.vocab, hidden, logits_);
  sample({.logits = logits_.data(), .vocab = shape_.vocab, .rows = s.wanted, .params = params_.data(),
          .out = chosen_.data()}, stream_.get());
}

void GpuDecoder::layer(std::int32_t index, const GpuStepSizes& s, const OnDevice& at) {
  const auto& w = weights_.layers[static_cast<std::size_t>(index)];
  const std::int64_t hidden = shape_.hidden;
  const auto eps = static_cast<float>(shape_.eps);
  // The first norm has nothing to add yet; the others add what the block before them projected.
  rmsnorm({.x = index ? projected_.data() : residual_.data(), .residual = index ? residual_.data() : nullptr,
           .weight = w.attention_norm.data(), .out = normed_.data(), .rows = s.rows, .dim = hidden, .eps = eps},
          stream_.get());
  linear(normed_, w.qkv, s.rows, shape_.qkv(), hidden, qkv_);
  attention(index, s, at);
  linear(attended_, w.out, s.rows, hidden, std::int64_t{shape_.heads} * shape_.head_dim, projected_);
  rmsnorm({.x = projected_.data(), .residual = residual_.data(), .weight = w.ffn_norm.data(), .out = normed_.data(),
           .rows = s.rows, .dim = hidden, .eps = eps}, stream_.get());
  shape_.experts > 0 ? expert_ffn(w, s.rows) : dense_ffn(w, s.rows);
}

bool GpuDecoder::uses_warpgroups() const {
  return prefill_warpgroups_can({.kv = memory_.layer(0, nullptr, 1), .heads = shape_.heads});
}

void GpuDecoder::attention(std::int32_t index, const GpuStepSizes& s, const OnDevice& at) {
  const std::int32_t d = shape_.head_dim, qkv = shape_.qkv();
  const std::int64_t width = std::int64_t{shape_.heads} * d, keys = std::int64_t{shape_.kv_heads} * d;
  const std::int64_t chunk_rows = s.rows - s.decodes;                // decode rows follow the chunks
  const PagedKv<Bf16> kv = memory_.layer(index, at.table, s.pages);
  Bf16* const q = qkv_.data();
  rope_append({.q = q,
               .k = q + width,
               .v = q + width + keys,
               .sequence = at.sequence,
               .position = at.position,
               .kv = kv,
               .cosine = cosine_.data(),
               .sine = sine_.data(),
               .tokens = s.rows,
               .heads = shape_.heads,
               .stride = qkv},
              stream_.get());
  MixedArgs<Bf16> a;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
  a.prefill = {.q = q, .out = attended_.data(), .q_offset = at.q_offset, .context = at.context, .kv = kv,
               .sequences = s.chunks, .heads = shape_.heads, .q_stride = qkv, .scale = scale, .tiles = at.tiles,
               .tile_count = s.prefill_tiles};
  a.decode.rows = {.q = q + chunk_rows * qkv, .out = attended_.data() + chunk_rows * width, .kv_len = at.length,
                   .batch = s.decodes, .heads = shape_.heads, .kv_heads = shape_.kv_heads, .head_dim = d,
                   .q_stride = qkv, .scale = scale, .tiles = at.tiles + s.prefill_tiles, .tile_count = s.decode_tiles,
                   .partials = {}};
  if (s.parts > 0) {
    const std::int64_t parts = std::int64_t{s.parts} * shape_.heads;
    a.decode.rows.partials = {partial_.data(), partial_.data() + parts * d, partial_.data() + parts * (d + 1),
                              at.offset};
  }
  a.decode.kv = memory_.layer(index, at.table + std::int64_t{s.chunks} * s.pages, s.pages);
  if (s.chunks > 0 && s.decodes > 0 && !uses_warpgroups()) {
    a.tiles = at.tiles;
    a.tile_count = std::int64_t{s.prefill_tiles} + s.decode_tiles;
    return attention_mixed(a, stream_.get());
  }
  if (s.chunks > 0 && uses_warpgroups()) attention_prefill_warpgroups(a.prefill, chunk_rows, stream_.get());
  else if (s.chunks > 0) attention_prefill(a.prefill, stream_.get());
  if (s.decodes > 0) attention_decode(a.decode, stream_.get());
}

void GpuDecoder::dense_ffn(const LayerTensors<DeviceBuffer<Bf16>>& w, std::int64_t rows) {
  linear(normed_, w.gate_up, rows, 2ll * shape_.ffn, shape_.hidden, gate_up_);
  swiglu({gate_up_.data(), gated_.data(), rows, shape_.ffn}, stream_.get());
  linear(gated_, w.down, rows, shape_.hidden, shape_.ffn, projected_);
}

void GpuDecoder::expert_ffn(const LayerTensors<DeviceBuffer<Bf16>>& w, std::int64_t rows) {
  const std::int64_t assignments = rows * shape_.top_k, ffn = shape_.ffn, hidden = shape_.hidden;
  const Stream stream = stream_.get();
  linear(normed_, w.router, rows, shape_.experts, hidden, router_logits_);
  route_top_k({router_logits_.data(), expert_ids_.data(), expert_weights_.data(), rows, shape_.experts, shape_.top_k},
              stream);
  const DeviceRouting routing{routing_.data() + 2 * assignments, routing_.data(), routing_.data() + assignments};
  group_by_expert({expert_ids_.data(), static_cast<std::int32_t>(assignments), shape_.experts, routing}, stream);
  grouped_gemm({.x = normed_.data(), .w = w.gate_up.data(), .y = gate_up_.data(), .offsets = routing.offsets,
                .source = routing.source, .experts = shape_.experts, .top_k = shape_.top_k, .n = 2 * ffn, .k = hidden},
               assignments, processors_, stream);
  swiglu({gate_up_.data(), gated_.data(), assignments, ffn}, stream);
  grouped_gemm({.x = gated_.data(), .w = w.down.data(), .y = expert_out_.data(), .offsets = routing.offsets,
                .experts = shape_.experts, .n = hidden, .k = ffn}, assignments, processors_, stream);
  combine_experts({expert_out_.data(), routing.place, expert_weights_.data(), projected_.data(), rows, shape_.top_k,
                   hidden}, stream);
}

namespace {

template <class T>
std::vector<T> downloaded(const DeviceBuffer<T>& from, std::int64_t n) {
  std::vector<T> out(static_cast<std::size_t>(n));
  if (!out.empty()) device_download(out.data(), from.data(), out.size() * sizeof(T));
  return out;
}

}  // namespace

std::vector<Bf16> GpuDecoder::logits() const { return downloaded(logits_, std::int64_t{last_wanted_} * shape_.vocab); }

std::vector<std::int32_t> GpuDecoder::experts() const {
  return downloaded(expert_ids_, shape_.experts > 0 ? std::int64_t{last_rows_} * shape_.top_k : 0);
}

std::vector<Bf16> GpuDecoder::router_logits() const {
  return downloaded(router_logits_, std::int64_t{last_rows_} * shape_.experts);
}

}  // namespace orrery::ORRERY_GPU
