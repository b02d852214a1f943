#include "kernels/device/emulator/hopper.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/common/scalar.hpp"
#include "kernels/device/emulator/global_memory.hpp"

namespace orrery::emulator {
namespace {

constexpr int kRows = 64, kDepth = 16;

std::uint32_t swizzled(std::uint32_t address) { return address ^ (address >> 7 & 7) << 4; }

/// Fields of a matrix descriptor (PTX ISA, "Matrix descriptor format").
struct Descriptor {
  std::uint32_t start, leading, stride;

  explicit Descriptor(std::uint64_t bits)
      : start(static_cast<std::uint32_t>(bits & 0x3fff) << 4),
        leading(static_cast<std::uint32_t>(bits >> 16 & 0x3fff) << 4),
        stride(static_cast<std::uint32_t>(bits >> 32 & 0x3fff) << 4) {
    if (bits >> 62 != 1) throw EmulatorError("wgmma: the emulator knows the swizzle of 128 bytes only");
    if ((bits >> 49 & 7) != 0) throw EmulatorError("wgmma: base offset");
  }
  /// Of element (row, k), rows of 64 k.
  std::uint32_t k_major(int row, int k) const {
    return swizzled(start + static_cast<std::uint32_t>(row / 8) * stride + static_cast<std::uint32_t>(row % 8) * 128 +
                    static_cast<std::uint32_t>(k) * 2);
  }
  /// Of element (k, n), rows of 64 n.
  std::uint32_t n_major(int k, int n) const {
    return swizzled(start + static_cast<std::uint32_t>(n / 64) * leading + static_cast<std::uint32_t>(k / 8) * stride +
                    static_cast<std::uint32_t>(k % 8) * 128 + static_cast<std::uint32_t>(n % 64) * 2);
  }
};

float bf16_at(std::uint32_t address) {
  Bf16 x;
  Machine::instance().shared().copy_out(&x, address, 2);
  return from(x);
}

template <class F>
void each_operand(const Product& p, const F& f) {
  const Descriptor b(p.b);
  for (int n = 0; n < p.n; ++n) {
    for (int k = 0; k < kDepth; ++k) f(p.transposed ? b.n_major(k, n) : b.k_major(n, k));
  }
  if (p.registers) return;
  const Descriptor a(p.a);
  for (int row = 0; row < kRows; ++row) {
    for (int k = 0; k < kDepth; ++k) f(a.k_major(row, k));
  }
}

/// Number i of the accumulators of thread t: its row and column.
int row_of(int t, int i) { return t / 32 * 16 + t % 32 / 4 + i % 4 / 2 * 8; }
int column_of(int t, int i) { return i / 4 * 8 + t % 4 * 2 + i % 2; }

}  // namespace

Hopper::Hopper() {
  Machine::instance().on_block.push_back([this] {
    barriers_.clear();
    for (Group& g : groups_) g = {};
  });
}

Hopper& Hopper::instance() {
  thread_local Hopper hopper;
  return hopper;
}

void Hopper::init(std::uint32_t bar, std::uint32_t arrivals) {
  Machine& m = Machine::instance();
  const std::uint64_t made = arrivals;
  m.shared().write(bar, &made, 8, m.me());
  barriers_[bar] = {.arrivals = arrivals, .missing = arrivals, .waiting = {}};
}

Hopper::Barrier& Hopper::barrier(std::uint32_t bar) {
  Machine& m = Machine::instance();
  const auto at = barriers_.find(bar);
  if (at == barriers_.end()) throw EmulatorError("no barrier was made at byte " + std::to_string(bar));
  m.shared().note_read(bar, 8, m.me(), false);
  return at->second;
}

void Hopper::settle(Barrier& b) {
  if (b.missing != 0 || b.bytes != 0) return;
  b.missing = b.arrivals;
  ++b.phase;
  b.ended = b.clock;
  for (Machine::Thread* t : b.waiting) Machine::instance().wake(t);
  b.waiting.clear();
}

void Hopper::arrive(std::uint32_t bar, std::uint32_t bytes) {
  Barrier& b = barrier(bar);
  if (b.missing == 0) throw EmulatorError("too many arrivals at the barrier at byte " + std::to_string(bar));
  Machine::instance().clocks().release(Machine::instance().warp(), b.clock);
  --b.missing;
  b.bytes += bytes;
  settle(b);
}

void Hopper::wait(std::uint32_t bar, std::uint32_t parity, Where where) {
  Barrier& b = barrier(bar);
  Machine& m = Machine::instance();
  while (b.phase % 2 == parity) {
    b.waiting.push_back(m.self());
    m.sleep("barrier in shared memory", where);
  }
  m.clocks().acquire(m.warp(), b.ended);
}

void Hopper::copy(std::uint32_t to, const Box& box, std::uint32_t bar) {
  Machine& m = Machine::instance();
  barrier(bar);
  if (box.box[0] != 64 || box.box[1] > 256 || box.box[2] > 256) throw EmulatorError("bulk copy: a box of this size");
  if (box.stride[1] % 16 != 0 || box.stride[2] % 16 != 0) throw EmulatorError("bulk copy: strides of 16 bytes");
  const auto bytes = static_cast<std::uint32_t>(128 * box.box[1] * box.box[2]);
  m.shared().check(to, bytes, 1, "bulk copy");
  m.shared().check(to, 0, 1024, "bulk copy");
  m.shared().require_fenced(to, bytes, m.me());
  m.shared().begin_copy(to, bytes, m.me());
  m.later([=, this, asked = m.clocks().of(m.warp())] { land(to, box, bar, asked); });
}

void Hopper::land(std::uint32_t to, const Box& box, std::uint32_t bar, const VectorClock& asked) {
  Machine& m = Machine::instance();
  const Stamp stamp = m.clocks().copy_stamp(bar);
  std::uint32_t at = to;
  for (std::int64_t z = box.at[2]; z < box.at[2] + box.box[2]; ++z) {
    for (std::int64_t y = box.at[1]; y < box.at[1] + box.box[1]; ++y) {
      const bool inside = y >= 0 && y < box.size[1] && z >= 0 && z < box.size[2];
      for (std::int64_t x = box.at[0]; x < box.at[0] + 64; x += 8, at += 16) {
        std::array<std::byte, 16> chunk{};
        if (inside && x + 8 <= box.size[0]) {
          const std::byte* p = box.base + x * 2 + y * box.stride[1] + z * box.stride[2];
          GlobalMemory::instance().check(p, 16, 16, false);
          std::memcpy(chunk.data(), p, 16);
        }
        m.shared().end_copy(swizzled(at), chunk.data(), 16, stamp);
      }
    }
  }
  Barrier& b = barriers_.at(bar);
  join(b.clock, asked);
  b.clock[static_cast<std::size_t>(stamp.agent)] = stamp.clock;
  b.bytes -= at - to;
  settle(b);
}

void Hopper::fence(Where where) {
  char nothing = 0;
  Machine::instance().meet_warpgroup("wgmma_fence", nothing, [this](char* const*) { group().fenced = true; }, where);
}

void Hopper::multiply(Product mine, Where where) {
  Machine::instance().meet_warpgroup("wgmma", mine,
                                     [this](Product* const* threads) { issue(group(), threads); }, where);
}

void Hopper::issue(Group& g, Product* const* threads) {
  Machine& m = Machine::instance();
  if (!g.fenced) throw EmulatorError("wgmma without wgmma.fence since its registers may have changed");
  Pending product{*threads[0], {}, {}, {}, m.warp() / 4 * 4};
  for (int t = 0; t < 128; ++t) {
    const Product& p = *threads[t];
    if (p.a != product.first.a || p.b != product.first.b || p.add != product.first.add) {
      throw EmulatorError("wgmma: threads of a warpgroup disagree on its operands");
    }
    product.d.push_back(p.d);
    product.registers.push_back(p.registers);
    if (p.registers) product.copied.insert(product.copied.end(), p.registers, p.registers + 4);
    const auto [sum, fresh] = g.sums.try_emplace(p.d, p.d, p.d + p.n / 2);
    if (fresh) std::fill_n(p.d, p.n / 2, std::numeric_limits<float>::quiet_NaN());
  }
  for (int w = 0; w < 4; ++w) {
    each_operand(product.first, [&](std::uint32_t address) {
      m.shared().check(address, 2, 2, "wgmma");
      m.shared().note_read(address, 2, {product.warp + w, kAllLanes}, true);
    });
  }
  ++m.counters.mma;
  g.open.push_back(std::move(product));
}

void Hopper::complete(Group& g, const Pending& product) {
  Machine& m = Machine::instance();
  const Product& p = product.first;
  each_operand(p, [&](std::uint32_t address) { m.shared().note_read(address, 2, {product.warp, kAllLanes}, true); });
  std::vector<float> a(kRows * kDepth), b(static_cast<std::size_t>(kDepth * p.n));
  const Descriptor a_at(p.registers ? 1ull << 62 : p.a), b_at(p.b);
  for (int k = 0; k < kDepth; ++k) {
    for (int n = 0; n < p.n; ++n) {
      b[static_cast<std::size_t>(k * p.n + n)] = bf16_at(p.transposed ? b_at.n_major(k, n) : b_at.k_major(n, k));
    }
    for (int row = 0; row < kRows && !p.registers; ++row) {
      a[static_cast<std::size_t>(row * kDepth + k)] = bf16_at(a_at.k_major(row, k));
    }
  }
  for (int t = 0; t < 128 && p.registers; ++t) {
    const std::uint32_t* copied = product.copied.data() + 4 * t;
    if (!std::equal(copied, copied + 4, product.registers[static_cast<std::size_t>(t)])) {
      throw EmulatorError("wgmma: an operand in registers changed before the product was waited for");
    }
    for (int r = 0; r < 4; ++r) {
      for (int i = 0; i < 2; ++i) {
        const int row = t / 32 * 16 + t % 32 / 4 + r % 2 * 8, k = t % 4 * 2 + r / 2 * 8 + i;
        a[static_cast<std::size_t>(row * kDepth + k)] = from(Bf16{static_cast<std::uint16_t>(copied[r] >> (16 * i))});
      }
    }
  }
  for (int t = 0; t < 128; ++t) {
    std::vector<float>& sum = g.sums.at(product.d[static_cast<std::size_t>(t)]);
    for (int i = 0; i < p.n / 2; ++i) {
      float x = 0;
      const float* row = a.data() + row_of(t, i) * kDepth;
      for (int k = 0; k < kDepth; ++k) x += row[k] * b[static_cast<std::size_t>(k * p.n + column_of(t, i))];
      sum[static_cast<std::size_t>(i)] = p.add ? sum[static_cast<std::size_t>(i)] + x : x;
    }
  }
}

void Hopper::commit(Where where) {
  char nothing = 0;
  Machine::instance().meet_warpgroup("wgmma_commit", nothing, [this](char* const*) {
    group().committed.push_back(std::move(group().open));
    group().open.clear();
  }, where);
}

void Hopper::wait_groups(unsigned groups_left, Where where) {
  char nothing = 0;
  Machine::instance().meet_warpgroup("wgmma_wait", nothing, [this, groups_left](char* const*) {
    Group& g = group();
    while (g.committed.size() > groups_left) {
      for (const Pending& product : g.committed.front()) complete(g, product);
      g.committed.pop_front();
    }
    std::map<float*, std::vector<float>> still;
    const auto keep = [&](const std::vector<Pending>& products) {
      for (const Pending& product : products) {
        for (float* d : product.d) still.insert(*g.sums.find(d));
      }
    };
    keep(g.open);
    for (const auto& products : g.committed) keep(products);
    for (const auto& [d, sum] : g.sums) {
      if (!still.contains(d)) std::copy(sum.begin(), sum.end(), d);
    }
    g.sums = std::move(still);
    g.fenced = false;
  }, where);
}

}  // namespace orrery::emulator
