#include "kernels/device/emulator/global_memory.hpp"

#include <utility>

#include "kernels/device/emulator/error.hpp"

namespace orrery::emulator {
namespace {

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

}  // namespace

GlobalMemory& GlobalMemory::instance() {
  thread_local GlobalMemory& memory = *new GlobalMemory;   // buffers of static objects go after those of the thread
  return memory;
}

void GlobalMemory::add(const void* p, std::size_t bytes, std::string name) {
  regions_[address(p)] = {address(p) + bytes, std::move(name), false};
}
void GlobalMemory::set_read_only(const void* p, bool read_only) { regions_.at(address(p)).read_only = read_only; }
void GlobalMemory::remove(const void* p) { regions_.erase(address(p)); }

void GlobalMemory::check(const void* p, std::size_t size, std::size_t alignment, bool write) const {
  const std::uintptr_t at = address(p);
  const auto access = [&] {
    return std::string("global memory ") + (write ? "write" : "read") + " of " + std::to_string(size) + " bytes";
  };
  if (at % alignment != 0) throw EmulatorError(access() + " is not aligned");
  auto next = regions_.upper_bound(at);
  if (next == regions_.begin()) throw EmulatorError(access() + " outside every buffer");
  const auto& [begin, region] = *--next;
  if (at + size > region.end) {
    throw EmulatorError(access() + " at byte " + std::to_string(at - begin) + " of buffer '" +
                        region.name + "' of " + std::to_string(region.end - begin) + " bytes");
  }
  if (write && region.read_only) throw EmulatorError(access() + " to the input '" + region.name + "'");
}

}  // namespace orrery::emulator
