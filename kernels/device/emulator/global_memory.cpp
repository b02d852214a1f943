#include "kernels/device/emulator/global_memory.hpp"

#include <utility>

#include "kernels/device/emulator/error.hpp"

namespace orrery::emulator {
namespace {

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

}  // namespace

GlobalMemory& GlobalMemory::instance() {
  thread_local GlobalMemory memory;
  return memory;
}

void GlobalMemory::add(const void* p, std::size_t bytes, std::string name) {
  regions_[address(p)] = {address(p) + bytes, std::move(name), false};
}
void GlobalMemory::set_read_only(const void* p, bool read_only) { regions_.at(address(p)).read_only = read_only; }
void GlobalMemory::remove(const void* p) { regions_.erase(address(p)); }

void GlobalMemory::check(const void* p, std::size_t size, bool write) const {
  const std::uintptr_t at = address(p);
  const std::string access = std::string(write ? "write" : "read") + " of " + std::to_string(size) + " bytes";
  if (at % size != 0) throw EmulatorError("global memory " + access + " is not aligned");
  auto next = regions_.upper_bound(at);
  if (next == regions_.begin()) throw EmulatorError("global memory " + access + " outside every buffer");
  const auto& [begin, region] = *--next;
  if (at + size > region.end) {
    throw EmulatorError("global memory " + access + " at byte " + std::to_string(at - begin) + " of buffer '" +
                        region.name + "' of " + std::to_string(region.end - begin) + " bytes");
  }
  if (write && region.read_only) throw EmulatorError("global memory " + access + " to the input '" + region.name + "'");
}

}  // namespace orrery::emulator
