/// The device functions of device.hpp on the emulator (emulator/machine.hpp): the same meaning as the instruction of
/// the PTX ISA that cuda.hpp uses, plus checks. Included by device.hpp only.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/common/scalar.hpp"
#include "kernels/device/emulator/global_memory.hpp"
#include "kernels/device/emulator/machine.hpp"
#include "kernels/device/emulator/matrix.hpp"

#define DEVICE_FN inline
#define DEVICE_KERNEL(threads, blocks) void
#define DEVICE_PARAMETER const
#define DEVICE_UNROLL
#define DEVICE_UNROLL_BY(n)
#define DEVICE_NO_UNROLL

namespace orrery::gpu_emulated {

using emulator::Machine;
using emulator::Where;

inline unsigned thread_index() { return Machine::instance().thread(); }
inline unsigned lane_index() { return Machine::instance().lane(); }
inline unsigned warp_index() { return static_cast<unsigned>(Machine::instance().warp()); }
inline unsigned block_index() { return Machine::instance().block().x; }
inline unsigned block_index_y() { return Machine::instance().block().y; }
inline unsigned block_index_z() { return Machine::instance().block().z; }
inline unsigned grid_size() { return Machine::instance().shape().grid.x; }
inline unsigned block_size() { return Machine::instance().shape().threads; }

// --- barriers
inline void sync_threads(Where where = Where::current()) {
  if (Machine::instance().omits(where)) return;
  Machine::instance().barrier_sync(0, Machine::instance().shape().threads, where);
}
inline void sync_warp(Where where = Where::current()) {
  if (!Machine::instance().omits(where)) Machine::instance().sync_warp(where);
}
inline void barrier_sync(unsigned id, unsigned threads, Where where = Where::current()) {
  if (Machine::instance().omits(where)) return;
  Machine::instance().barrier_sync(id, threads, where);
}
inline void barrier_arrive(unsigned id, unsigned threads, Where where = Where::current()) {
  if (Machine::instance().omits(where)) return;
  Machine::instance().barrier_arrive(id, threads, where);
}

// --- warps
template <class T, class From>
T shuffle_from(const char* what, T value, const From& from, Where where) {
  struct Operand {
    T in, out;
  } mine{value, value};
  Machine::instance().meet_warp(what, mine, [&from](Operand* const* lanes) {
    for (unsigned i = 0; i < 32; ++i) lanes[i]->out = lanes[from(i)]->in;
  }, where);
  return mine.out;
}
template <class T>
T shuffle(T value, unsigned lane, Where where = Where::current()) {
  struct Operand {
    T in, out;
    unsigned lane;
  } mine{value, value, lane};
  Machine::instance().meet_warp("shuffle", mine, [](Operand* const* lanes) {
    for (unsigned i = 0; i < 32; ++i) lanes[i]->out = lanes[lanes[i]->lane % 32]->in;
  }, where);
  return mine.out;
}
template <class T>
T shuffle_xor(T value, unsigned mask, Where where = Where::current()) {
  return shuffle_from("shuffle_xor", value, [mask](unsigned i) { return i ^ mask; }, where);
}
template <class T>
T shuffle_up(T value, unsigned by, Where where = Where::current()) {
  return shuffle_from("shuffle_up", value, [by](unsigned i) { return i >= by ? i - by : i; }, where);
}
inline std::uint32_t ballot(bool predicate, Where where = Where::current()) {
  struct Operand {
    bool in;
    std::uint32_t out;
  } mine{predicate, 0};
  Machine::instance().meet_warp("ballot", mine, [](Operand* const* lanes) {
    std::uint32_t bits = 0;
    for (unsigned i = 0; i < 32; ++i) bits |= std::uint32_t{lanes[i]->in} << i;
    for (unsigned i = 0; i < 32; ++i) lanes[i]->out = bits;
  }, where);
  return mine.out;
}
inline bool any(bool predicate, Where where = Where::current()) { return ballot(predicate, where) != 0; }
inline bool all(bool predicate, Where where = Where::current()) { return ballot(predicate, where) == ~0u; }

// --- shared memory
template <class T>
T shared_load(std::uint32_t offset) {
  T value;
  Machine::instance().shared().read(&value, offset, sizeof(T), Machine::instance().me());
  return value;
}
template <class T>
void shared_store(std::uint32_t offset, std::type_identity_t<T> value) {
  Machine::instance().shared().write(offset, &value, sizeof(T), Machine::instance().me());
}
/// Atomics do not race with one another, nor are they ordered by one another.
template <class T>
T shared_atomic_add(std::uint32_t offset, std::type_identity_t<T> value) {
  return emulator::shared_atomic<T>(offset, [value](T old) { return static_cast<T>(old + value); });
}
inline void ldmatrix(std::uint32_t (&r)[4], std::uint32_t offset, Where where = Where::current()) {
  emulator::load_matrices(r, offset, false, where);
}
inline void ldmatrix_transposed(std::uint32_t (&r)[4], std::uint32_t offset, Where where = Where::current()) {
  emulator::load_matrices(r, offset, true, where);
}

// --- global memory
template <class T>
T global_load(const T* p) {
  emulator::GlobalMemory::instance().check(p, sizeof(T), alignof(T), false);
  return *p;
}
inline Vec4 global_load_once(const Vec4* p) { return global_load(p); }
template <class T>
void global_store(T* p, std::type_identity_t<T> value) {
  emulator::GlobalMemory::instance().check(p, sizeof(T), alignof(T), true);
  *p = value;
}
template <class T>
T atomic_add(T* p, std::type_identity_t<T> value) {
  const T old = global_load(p);
  global_store(p, static_cast<T>(old + value));
  return old;
}
inline void memory_fence() {}

// --- asynchronous copies to shared memory
inline void copy_async16(std::uint32_t offset, const void* from, std::uint32_t valid_bytes = 16) {
  Machine::instance().copy_async(offset, from, 16, valid_bytes);
}
inline void copy_async_commit(Where where = Where::current()) {
  if (!Machine::instance().omits(where)) Machine::instance().commit_copies();
}
template <int kGroupsLeft>
void copy_async_wait(Where where = Where::current()) {
  if (!Machine::instance().omits(where)) Machine::instance().wait_copies(kGroupsLeft);
}

// --- tensor cores
inline void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                     Where where = Where::current()) {
  emulator::multiply_add<Bf16>(c, a, b0, b1, where);
}
inline void mma_f16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                    Where where = Where::current()) {
  emulator::multiply_add<Half>(c, a, b0, b1, where);
}

// --- arithmetic
inline float fast_exp2(float x) { return std::exp2(x); }
inline std::uint32_t pack_bf16(float low, float high) {
  return to<Bf16>(low).bits | std::uint32_t{to<Bf16>(high).bits} << 16;
}
inline std::uint32_t pack_f16(float low, float high) {
  return emulator::round_to_half(low).bits | std::uint32_t{emulator::round_to_half(high).bits} << 16;
}
inline float bits_to_float(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline std::uint32_t float_to_bits(float x) { return std::bit_cast<std::uint32_t>(x); }
inline float f16_to_float(std::uint32_t bits) { return from(Half{static_cast<std::uint16_t>(bits)}); }
template <class F>
std::uint32_t each_f16(const F& f) {
  std::uint32_t r = 0;
  for (int i = 0; i < 2; ++i) r |= std::uint32_t{emulator::round_to_half(f(16 * i)).bits} << (16 * i);
  return r;
}
inline std::uint32_t fma_f16x2(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return each_f16([&](int s) {                               // exact in float but for the sum, which double holds
    const double sum = double{f16_to_float(a >> s)} * f16_to_float(b >> s) + f16_to_float(c >> s);
    return sum;
  });
}
inline std::uint32_t sub_f16x2(std::uint32_t a, std::uint32_t b) {
  return each_f16([&](int s) { return double{f16_to_float(a >> s)} - f16_to_float(b >> s); });
}
inline std::uint32_t byte_permute(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
  const std::uint64_t both = std::uint64_t{b} << 32 | a;
  std::uint32_t r = 0;
  for (int i = 0; i < 4; ++i) {
    r |= static_cast<std::uint32_t>(both >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  }
  return r;
}
inline int popcount(std::uint32_t bits) { return std::popcount(bits); }
inline float fused(float a, float b, float c) { return std::fma(a, b, c); }
inline float max_of(float a, float b) { return std::fmax(a, b); }
inline float fast_reciprocal(float x) { return 1 / x; }
inline float fast_log2(float x) { return std::log2(x); }
inline float negative_infinity() { return -std::numeric_limits<float>::infinity(); }

// --- host: a launch
template <class... P, class... A>
void launch(void (*kernel)(P...), const LaunchShape& shape, Stream, const A&... args) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  Machine::instance().run({{shape.grid.x, shape.grid.y, shape.grid.z}, shape.threads, shape.shared_bytes},
                          [&] { kernel(args...); });
}

}  // namespace orrery::gpu_emulated
