#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/sampling/sampling_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

using Mass = unsigned long long;              ///< probability in units of 2^-40 of the likeliest token's

constexpr unsigned kThreads = 512, kWarps = kThreads / 32;
constexpr unsigned kBuckets = 2048, kBucketBits = 11;
constexpr float kKeysPerNat = 131072;         ///< 2^17: keys reach to 32 nats below the likeliest
constexpr float kNats = 28;                   ///< below that the mass is 0

// Shared memory: two histograms (mass, count), one for each half of the key; then scratch.
constexpr std::uint32_t kHistogramBytes = kBuckets * 12, kScratch = 2 * kHistogramBytes,
                        kFound = kScratch + kWarps * 16;
constexpr std::uint32_t kSharedBytes = kFound + 32;

/// The logits of a row as distances below the largest, over the temperature.
struct Row {
  const Bf16* logits;
  unsigned vectors;
  float temperature, most;

  DEVICE_FN float distance(float x) const { return most - x / temperature; }
  DEVICE_FN static Mass mass(float d) { return static_cast<Mass>(fast_exp(-d) * 0x1p40f); }
  DEVICE_FN static unsigned key(float d) { return static_cast<unsigned>(d * kKeysPerNat); }
};

/// f(distance) for all logits of a row that have a mass.
template <class F>
DEVICE_FN void for_each(const Row& row, const F& f) {
  for (unsigned v = thread_index(); v < row.vectors; v += kThreads) {
    float x[8];
    unpack(load8(row.logits + 8 * v), x);
    DEVICE_UNROLL
    for (int c = 0; c < 8; ++c) {
      const float d = row.distance(x[c]);
      if (d < kNats) f(d);
    }
  }
}

/// Sums over the threads before this one, and over all, in `total`.
DEVICE_FN Mass block_sum_before(Mass x, Mass& total) {
  const Mass within = warp_sum_before(x);
  sync_threads();                             // the scratch of the last call has been read
  if (lane_index() == 31) shared_store<Mass>(kScratch + 8 * warp_index(), within + x);
  sync_threads();
  const Mass warp = lane_index() < kWarps ? shared_load<Mass>(kScratch + 8 * lane_index()) : 0;
  total = warp_sum(warp);
  return shuffle(warp_sum_before(warp), warp_index()) + within;
}

struct Best {
  float value;
  unsigned token;
};
DEVICE_FN Best better(Best a, Best b) { return b.value > a.value || (b.value == a.value && b.token < a.token) ? b : a; }
DEVICE_FN Best warp_best(Best best) {
  for (unsigned mask = 16; mask > 0; mask /= 2)
    best = better(best, {shuffle_xor(best.value, mask), shuffle_xor(best.token, mask)});
  return best;
}

/// The largest logit, of equal ones the smallest token.
DEVICE_FN Best likeliest(const Bf16* logits, unsigned vectors) {
  Best best{negative_infinity(), 0xffffffffu};
  for (unsigned v = thread_index(); v < vectors; v += kThreads) {
    float x[8];
    unpack(load8(logits + 8 * v), x);
    DEVICE_UNROLL
    for (int c = 0; c < 8; ++c) best = better(best, {x[c], 8 * v + static_cast<unsigned>(c)});
  }
  best = warp_best(best);
  if (lane_index() == 0) {
    shared_store<float>(kScratch + 8 * warp_index(), best.value);
    shared_store<unsigned>(kScratch + 8 * warp_index() + 4, best.token);
  }
  sync_threads();
  if (lane_index() < kWarps) {
    best = {shared_load<float>(kScratch + 8 * lane_index()), shared_load<unsigned>(kScratch + 8 * lane_index() + 4)};
  }
  return warp_best(best);
}

/// A place in the order of falling logits: a bucket, what lies before it and in it.
struct Place {
  unsigned bucket;
  Mass mass_before, count_before, mass, count;
};

/// Masses and counts of the keys whose upper half is `upper` (or all, by their upper half), from `at` on.
DEVICE_FN void histogram(const Row& row, std::uint32_t at, bool all, unsigned upper) {
  for (unsigned b = thread_index(); b < kBuckets; b += kThreads) {
    shared_store<Mass>(at + 8 * b, 0);
    shared_store<unsigned>(at + 8 * kBuckets + 4 * b, 0);
  }
  sync_threads();
  for_each(row, [&](float d) {
    const unsigned key = Row::key(d);
    if (!all && key >> kBucketBits != upper) return;
    const unsigned b = all ? key >> kBucketBits : key % kBuckets;
    shared_atomic_add<Mass>(at + 8 * b, Row::mass(d));
    shared_atomic_add<unsigned>(at + 8 * kBuckets + 4 * b, 1);
  });
  sync_threads();
}

/// The first bucket up to which the sum of masses (or counts) exceeds `target`. False if there is none.
DEVICE_FN bool find(std::uint32_t at, bool by_count, Mass target, Place& place) {
  constexpr unsigned kEach = kBuckets / kThreads;
  Mass mass[kEach], count[kEach], masses = 0, counts = 0, all_masses, all_counts;
  DEVICE_UNROLL
  for (unsigned i = 0; i < kEach; ++i) {
    const unsigned b = thread_index() * kEach + i;
    masses += mass[i] = shared_load<Mass>(at + 8 * b);
    counts += count[i] = shared_load<unsigned>(at + 8 * kBuckets + 4 * b);
  }
  masses = block_sum_before(masses, all_masses);
  counts = block_sum_before(counts, all_counts);
  if (target >= (by_count ? all_counts : all_masses)) return false;
  DEVICE_UNROLL
  for (unsigned i = 0; i < kEach; ++i) {
    const Mass before = by_count ? counts : masses, own = by_count ? count[i] : mass[i];
    if (before <= target && target - before < own) {
      shared_store<unsigned>(kFound, thread_index() * kEach + i);
      shared_store<Mass>(kFound + 8, masses);
      shared_store<Mass>(kFound + 16, counts);
    }
    masses += mass[i];
    counts += count[i];
  }
  sync_threads();
  place.bucket = shared_load<unsigned>(kFound);
  place.mass_before = shared_load<Mass>(kFound + 8);
  place.count_before = shared_load<Mass>(kFound + 16);
  place.mass = shared_load<Mass>(at + 8 * place.bucket);
  place.count = shared_load<unsigned>(at + 8 * kBuckets + 4 * place.bucket);
  sync_threads();
  return true;
}

/// The same to the whole key: tokens with one key are alike, each has mass / count.
DEVICE_FN bool find_key(const Row& row, bool by_count, Mass target, Place& place) {
  Place upper;
  if (!find(0, by_count, target, upper)) return false;
  histogram(row, kHistogramBytes, false, upper.bucket);
  find(kHistogramBytes, by_count, target - (by_count ? upper.count_before : upper.mass_before), place);
  place.mass_before += upper.mass_before;
  place.count_before += upper.count_before;
  place.bucket |= upper.bucket << kBucketBits;
  return true;
}

/// The first token, in the order of the tokens, up to which the sum of weight(distance) exceeds `target`.
template <class F>
DEVICE_FN void scan(const Row& row, Mass target, const F& weight, std::int32_t* out) {
  Mass before = 0;
  for (unsigned base = 0; base < row.vectors; base += kThreads) {
    const unsigned v = base + thread_index();
    Mass each[8] = {}, mine = 0, all;
    if (v < row.vectors) {
      float x[8];
      unpack(load8(row.logits + 8 * v), x);
      DEVICE_UNROLL
      for (int c = 0; c < 8; ++c) {
        const float d = row.distance(x[c]);
        mine += each[c] = d < kNats ? weight(d) : 0;
      }
    }
    Mass sum = before + block_sum_before(mine, all);
    if (target < before + all) {
      DEVICE_UNROLL
      for (int c = 0; c < 8; ++c) {
        if (sum <= target && target - sum < each[c])
          global_store(out, static_cast<std::int32_t>(8 * v + static_cast<unsigned>(c)));
        sum += each[c];
      }
      return;
    }
    before += all;
  }
}

/// Mass of the best `most_tokens`, of those the fewest that have `share` of it.
DEVICE_FN Mass kept_mass(const Row& row, Mass all, const SampleParams& p, unsigned vocab) {
  Mass kept = all;
  Place place;
  if (p.top_k > 0 && static_cast<unsigned>(p.top_k) < vocab &&
      find_key(row, true, static_cast<Mass>(p.top_k - 1), place)) {
    const Mass inside = static_cast<Mass>(p.top_k) - place.count_before;
    kept = place.mass_before + (inside == place.count ? place.mass : place.mass / place.count * inside);
  }
  if (p.top_p < 1) {
    const auto enough = static_cast<Mass>(static_cast<double>(p.top_p) * static_cast<double>(kept));
    if (find_key(row, false, enough > 0 ? enough - 1 : 0, place)) {
      const Mass each = place.mass / place.count;
      Mass inside = each > 0 ? (enough - place.mass_before + each - 1) / each : place.count;
      if (enough <= place.mass_before) inside = 1;
      const Mass upto = place.mass_before + (inside >= place.count ? place.mass : each * inside);
      kept = upto < kept ? upto : kept;
    }
  }
  return kept;
}

DEVICE_FN void draw(const Row& row, const SampleParams& p, unsigned vocab, std::int32_t* out) {
  const double u = sample_uniform(p.seed, p.sequence, p.position);
  const auto target_of = [u](Mass kept) {
    const auto target = static_cast<Mass>(u * static_cast<double>(kept));
    return target < kept ? target : kept - 1;
  };
  const bool whole = p.top_p >= 1 && (p.top_k <= 0 || static_cast<unsigned>(p.top_k) >= vocab);
  if (whole) {
    Mass mine = 0, all;
    for_each(row, [&](float d) { mine += Row::mass(d); });
    block_sum_before(mine, all);
    scan(row, target_of(all), [](float d) { return Row::mass(d); }, out);
    return;
  }
  histogram(row, 0, true, 0);
  Mass mine = 0, all;
  for (unsigned b = thread_index(); b < kBuckets; b += kThreads) mine += shared_load<Mass>(8 * b);
  block_sum_before(mine, all);
  const Mass target = target_of(kept_mass(row, all, p, vocab));
  Place place;
  find_key(row, false, target, place);
  const Mass each = place.mass / place.count;
  Mass nth = each > 0 ? (target - place.mass_before) / each : 0;
  if (nth >= place.count) nth = place.count - 1;
  scan(row, nth, [&](float d) { return static_cast<Mass>(Row::key(d) == place.bucket); }, out);
}

DEVICE_KERNEL(kThreads, 2) sample_kernel(SampleArgs<Bf16> a) {
  const std::int64_t at = block_index();
  const SampleParams p = global_load(a.params + at);
  const auto vocab = static_cast<unsigned>(a.vocab);
  Row row{a.logits + at * a.vocab, vocab / 8, p.temperature, 0};
  const Best best = likeliest(row.logits, row.vectors);
  if (!(p.temperature > 0)) {
    if (thread_index() == 0) global_store(a.out + at, static_cast<std::int32_t>(best.token));
    return;
  }
  row.most = best.value / p.temperature;
  sync_threads();
  draw(row, p, vocab, a.out + at);
}

}  // namespace

void sample(const SampleArgs<Bf16>& a, Stream stream) {
  require(a.vocab > 0 && a.vocab % 8 == 0 && a.vocab < 1 << 22, "sample: vocab: expected a multiple of 8, below 2^22");
  launch(sample_kernel, {.grid = {static_cast<unsigned>(a.rows)}, .threads = kThreads, .shared_bytes = kSharedBytes},
         stream, a);
}

}  // namespace orrery::ORRERY_GPU
