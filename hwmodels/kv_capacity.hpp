/// How many KV blocks fit beside the weights, with every term of the sum. Per device; the stage with the least room
/// decides.
///
///   KvCapacity kv = kv_capacity(model, hardware, {.tp = 1, .pp = 1}, memory);      // throws ConfigError: does not fit
///   kv.blocks;                                                                     // of memory.block_tokens tokens
///
///   room   = memory * utilization - weights - activations - reserved
///   blocks = floor(room / (block_tokens * kv bytes per token of one device))
///
/// A format counts with its scales; what KIVI's residual windows take beyond the quantised bytes of the same tokens is
/// part of `reserved`.
///
/// Activations are the peak of one step, as an engine's profiling run finds it: `max_batch_tokens` rows of the widest
/// pair of neighbours in a layer, and the logits of `max_sequences` rows in 16 and 32 bits.
#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/hardware.hpp"
#include "hwmodels/model.hpp"
#include "hwmodels/operator_model.hpp"
#include "hwmodels/variants.hpp"

namespace orrery {

struct MemoryOptions {
  double utilization = 0.9;             ///< share of device memory the engine may use
  std::int64_t block_tokens = 16;
  std::int64_t max_batch_tokens = 8192, max_sequences = 256;
  double reserved_bytes = 0;            ///< context, graphs, communication buffers
  KvFormat format{};                    ///< KIVI: each of max_sequences keeps its residual window apart, unquantised
};

struct KvCapacity {
  std::int64_t memory_bytes = 0, usable_bytes = 0;       ///< of a device; usable = memory * utilization
  std::int64_t weight_bytes = 0, activation_bytes = 0, reserved_bytes = 0;   ///< of the device with the least room
  std::int64_t kv_bytes = 0;                             ///< what is left
  std::int64_t kv_bytes_per_token = 0;                   ///< of a device, in that stage
  std::int64_t block_tokens = 16, blocks = 0;
  std::int64_t tokens() const { return blocks * block_tokens; }
};

/// Of all devices of a replica, for each token outside residual windows.
std::int64_t kv_bytes_per_token(const ModelShape& model, const KvFormat& format, double value_bytes);

/// Throws ConfigError `does not fit: ...` with the bytes needed and available when not one block fits.
KvCapacity kv_capacity(const ModelShape& model, const Hardware& hardware, Parallel parallel,
                       const MemoryOptions& options);

/// "11.2 GB"
std::string gigabytes(std::int64_t bytes);

}  // namespace orrery
