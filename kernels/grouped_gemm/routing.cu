#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/grouped_gemm/grouped_gemm_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr int kMaxExperts = 256, kMaxTopK = 8;
constexpr unsigned kRouteWarps = 4, kGroupThreads = 512, kCombineThreads = 256;

/// One warp a token; lane l has the experts l, l + 32, ...
DEVICE_KERNEL(kRouteWarps * 32, 4) route_kernel(RouteArgs<Bf16> a) {
  const std::int64_t token = static_cast<std::int64_t>(block_index()) * kRouteWarps + warp_index();
  if (token >= a.tokens) return;
  const auto lane = static_cast<int>(lane_index());
  float logit[kMaxExperts / 32];
  DEVICE_UNROLL
  for (int i = 0; i < kMaxExperts / 32; ++i) {
    const int e = lane + 32 * i;
    logit[i] = e < a.experts ? from(global_load(a.logits + token * a.experts + e)) : negative_infinity();
  }
  std::uint32_t taken = 0;                       // bit i: expert lane + 32 i
  float first = 0, weight = 0, sum = 0;
  int chosen = -1;                               // of slot `lane`
  for (int slot = 0; slot < a.top_k; ++slot) {
    float best = negative_infinity();
    int which = kMaxExperts;
    DEVICE_UNROLL
    for (int i = 0; i < kMaxExperts / 32; ++i) {
      const int e = lane + 32 * i;
      if (e < a.experts && !(taken >> i & 1) && (which == kMaxExperts || logit[i] > best)) {
        best = logit[i];
        which = e;
      }
    }
    for (unsigned mask = 16; mask > 0; mask /= 2) {
      const float other = shuffle_xor(best, mask);
      const int other_which = shuffle_xor(which, mask);
      const bool better = which == kMaxExperts || other > best || (other == best && other_which < which);
      if (other_which != kMaxExperts && better) {
        best = other;
        which = other_which;
      }
    }
    if (which % 32 == lane) taken |= 1u << (which / 32);
    if (slot == 0) first = best;
    const float mass = fast_exp(best - first);
    sum += mass;
    if (slot == lane) {
      chosen = which;
      weight = mass;
    }
  }
  if (lane >= a.top_k) return;
  global_store(a.ids + token * a.top_k + lane, chosen);
  global_store(a.weights + token * a.top_k + lane, weight / sum);
}

/// One block an expert: how many assignments belong to smaller ones, then its own in their order.
DEVICE_KERNEL(kGroupThreads, 2) group_kernel(GroupArgs a) {
  const auto expert = static_cast<std::int32_t>(block_index());
  const auto thread = static_cast<std::int32_t>(thread_index());
  constexpr auto kStep = static_cast<std::int32_t>(kGroupThreads);
  std::int32_t smaller = 0;
  for (std::int32_t i = thread; i < a.assignments; i += kStep) smaller += global_load(a.ids + i) < expert;
  std::int32_t next = block_sum(smaller, 0);
  if (thread == 0) {
    global_store(a.routing.offsets + expert, next);
    if (expert == a.experts - 1) global_store(a.routing.offsets + a.experts, a.assignments);
  }
  for (std::int32_t base = 0; base < a.assignments; base += kStep) {
    const std::int32_t i = base + thread;
    const bool mine = i < a.assignments && global_load(a.ids + i) == expert;
    const std::uint32_t warp_mine = ballot(mine);
    sync_threads();                              // the counts of the last round have been read
    if (lane_index() == 0) shared_store<unsigned>(4 * warp_index(), count_bits(warp_mine));
    sync_threads();
    const unsigned count = lane_index() < kGroupThreads / 32 ? shared_load<unsigned>(4 * lane_index()) : 0;
    const unsigned before = shuffle(warp_sum_before(count), warp_index());
    if (mine) {
      const std::int32_t row =
          next + static_cast<std::int32_t>(before + count_bits(warp_mine & ((1u << lane_index()) - 1)));
      global_store(a.routing.source + row, i);
      global_store(a.routing.place + i, row);
    }
    next += static_cast<std::int32_t>(warp_sum(count));
  }
}

DEVICE_KERNEL(kCombineThreads, 4) combine_kernel(CombineArgs<Bf16> a, unsigned chunks) {
  const std::int64_t token = block_index() / chunks;
  const std::int64_t j = (static_cast<std::int64_t>(block_index() % chunks) * kCombineThreads + thread_index()) * 8;
  if (j >= a.n) return;
  float sum[8] = {};
  for (std::int32_t i = 0; i < a.top_k; ++i) {
    const std::int64_t row = global_load(a.place + token * a.top_k + i);
    const float weight = global_load(a.weights + token * a.top_k + i);
    float y[8];
    unpack(load8(a.y + row * a.n + j), y);
    DEVICE_UNROLL
    for (int c = 0; c < 8; ++c) sum[c] += weight * y[c];
  }
  store8(a.out + token * a.n + j, pack(sum));
}

}  // namespace

void route_top_k(const RouteArgs<Bf16>& a, Stream stream) {
  require(a.experts > 0 && a.experts <= kMaxExperts, "route_top_k: experts: expected 1 to 256");
  require(a.top_k > 0 && a.top_k <= kMaxTopK && a.top_k <= a.experts,
          "route_top_k: top_k: expected 1 to 8, of the experts");
  launch(route_kernel, {.grid = {ceil_div(a.tokens, kRouteWarps)}, .threads = kRouteWarps * 32}, stream, a);
}

void group_by_expert(const GroupArgs& a, Stream stream) {
  require(a.experts > 0 && a.experts <= kMaxExperts, "group_by_expert: experts: expected 1 to 256");
  launch(group_kernel, {.grid = {static_cast<unsigned>(a.experts)}, .threads = kGroupThreads,
                        .shared_bytes = kReductionBytes}, stream, a);
}

void combine_experts(const CombineArgs<Bf16>& a, Stream stream) {
  require(a.n % 8 == 0, "combine_experts: n: expected a multiple of 8");
  const unsigned chunks = ceil_div(a.n, 8 * kCombineThreads);
  launch(combine_kernel, {.grid = {static_cast<unsigned>(a.tokens) * chunks}, .threads = kCombineThreads}, stream, a,
         chunks);
}

}  // namespace orrery::ORRERY_GPU
