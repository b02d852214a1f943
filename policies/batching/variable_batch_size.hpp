/// Variable batch size (Response-length perception, NeurIPS'23; src/utils.py `len_bs_dict`, `schedule`): short answers
/// leave room for more calls in a batch.
///
///   batch.resize(next_batch(batch));      // 140 calls of length 100: the first 128
#pragma once

#include <cstddef>
#include <vector>

#include "sim/policy.hpp"

namespace orrery {

struct Sized {
  Tokens length;   ///< predicted output, rounded up to a bucket
  CallId call;
};

/// The predicted output length (without a prediction, max_tokens), rounded up to a multiple of `width`.
Tokens bucket_of(const Call&, Tokens width);

/// Calls in a batch of this bucket: 256 for 50 tokens, 128 for 100, 64 for 150, 32 for 200, else 16.
std::size_t batch_size(Tokens length);

/// Puts the next batch in front of `calls`, which come sorted by length, and returns its size. Full batches of the
/// shortest bucket first; what is left of a bucket, if below half a batch or 16, goes behind the calls of the next one.
std::size_t next_batch(std::vector<Sized>& calls);

}  // namespace orrery
