/// What sm_90a adds to a thread block: barriers in shared memory (mbarrier), the copy engine (TMA), products of a
/// warpgroup (wgmma), as the PTX ISA describes them.
///
/// Copies arrive at drawn times after they are asked for, and in a drawn order. Products are computed when they are
/// waited for, as late as they may be: until then their accumulators are NaN, their operands in registers must not
/// change, and shared memory is read then. EmulatorError for a product without wgmma.fence, operands that are not
/// aligned for the swizzle, barriers that were not made, more arrivals than a phase has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "kernels/device/emulator/machine.hpp"

namespace orrery::emulator {

/// A box of a tensor of 16-bit numbers; strides in bytes.
struct Box {
  const std::byte* base = nullptr;
  std::int64_t size[3] = {}, stride[3] = {}, box[3] = {}, at[3] = {};
};

/// One thread's part of a product.
struct Product {
  float* d = nullptr;                        ///< n / 2 numbers
  int n = 0;
  const std::uint32_t* registers = nullptr;  ///< four, or null: `a` describes shared memory
  std::uint64_t a = 0, b = 0;
  bool add = true, transposed = false;       ///< transposed: b is MN-major
};

class Hopper {
 public:
  static Hopper& instance();

  void init(std::uint32_t bar, std::uint32_t arrivals);
  void arrive(std::uint32_t bar, std::uint32_t bytes);
  void wait(std::uint32_t bar, std::uint32_t parity, Where where);
  void copy(std::uint32_t to, const Box& box, std::uint32_t bar);

  void fence(Where where);
  void multiply(Product mine, Where where);
  void commit(Where where);
  void wait_groups(unsigned groups_left, Where where);

 private:
  struct Barrier {
    std::uint32_t arrivals = 0, missing = 0;
    std::int64_t bytes = 0;                  ///< expected and not there; below zero while copies are early
    std::uint32_t phase = 0;
    VectorClock clock{}, ended{};
    std::vector<Machine::Thread*> waiting;
  };
  /// A product of a warpgroup, its threads' registers included.
  struct Pending {
    Product first;                           ///< what is common to all threads
    std::vector<float*> d;
    std::vector<const std::uint32_t*> registers;
    std::vector<std::uint32_t> copied;       ///< four for each thread
    int warp = 0;
  };
  struct Group {
    bool fenced = false;
    std::vector<Pending> open;
    std::deque<std::vector<Pending>> committed;
    std::map<float*, std::vector<float>> sums;   ///< accumulators whose products are under way
  };
  Hopper();
  Barrier& barrier(std::uint32_t bar);
  void settle(Barrier& b);
  void land(std::uint32_t to, const Box& box, std::uint32_t bar, const VectorClock& asked);
  void issue(Group& group, Product* const* threads);
  void complete(Group& group, const Pending& product);
  Group& group() { return groups_[static_cast<std::size_t>(Machine::instance().warp() / 4)]; }

  std::map<std::uint32_t, Barrier> barriers_;
  std::array<Group, kMaxWarps / 4> groups_;
};

}  // namespace orrery::emulator
