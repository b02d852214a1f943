/// A device that runs the steps of a live executor (live_executor.hpp): the CPU (cpu_device.hpp), a GPU
/// (cuda_device.hpp). The executor decides what a step holds; a device knows memory and kernels: it makes the weights,
/// holds the KV pool, copies blocks, plans and runs the launches of a step, chooses the next tokens, and tells the
/// time. One model on it, with one set of weights, serves several replicas in turn.
///
///   auto device = make_cpu_device(model, options);                    // cpu_device.hpp
///   auto replica = device->replica({.blocks = 256, .block_tokens = 16});
///   double begin = replica->seconds();   replica->run(work);   replica->seconds() - begin;
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "calibrate/live/block_tables.hpp"
#include "kernels/engine/decoder.hpp"

namespace orrery {

/// KV memory, activations and graphs of one replica.
class LiveReplica {
 public:
  virtual ~LiveReplica() = default;
  /// Of the clock that the device is measured by (LiveDevice::clock). A device that works behind the host's back waits
  /// for it here.
  virtual double seconds() = 0;
  /// Moves blocks to and from host memory, in this order; `host_blocks` is how many there must be there.
  virtual void copy(std::span<const SwapCopy> copies, std::int32_t host_blocks) = 0;
  /// One step. Returns the next token of every item that wants logits, in their order; valid until the next call.
  virtual std::span<const std::int32_t> run(std::span<const Work> work) = 0;
};

struct LiveDeviceOptions {
  std::string dtype;                 ///< of weights and KV; "": the device's own (fp32 on the CPU, bf16 on a GPU)
  std::uint64_t seed = 1;            ///< of the weights, where no file is named
  std::string weights;               ///< a safetensors file; "": none
};

/// Outlives its replicas.
class LiveDevice {
 public:
  struct Kv {
    std::int32_t blocks = 1, block_tokens = 16;
  };
  virtual ~LiveDevice() = default;
  virtual std::unique_ptr<LiveReplica> replica(const Kv& kv) const = 0;
  virtual std::string name() const = 0;    ///< "cpu", "cuda"
  virtual std::string hardware() const { return ""; }   ///< "NVIDIA H200"; "": this machine's processor
  virtual std::string clock() const = 0;   ///< "thread CPU time"
  virtual std::int32_t vocabulary() const = 0;
  virtual std::int64_t row_tile() const { return 1; }   ///< rows that its GEMM takes at once
};

}  // namespace orrery
