/// The device memory that emulated kernels may touch: what was registered, and nothing else.
///
///   GlobalMemory::instance().add(p, bytes, "out");   check(p + 3, 16, 16, false);   remove(p);
///
/// check() throws EmulatorError for an address that is not aligned as its type must be (a GPU faults) or that lies
/// outside every region; a write also needs a region that is not read-only. O(log regions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace orrery::emulator {

class GlobalMemory {
 public:
  static GlobalMemory& instance();

  void add(const void* p, std::size_t bytes, std::string name);
  void set_read_only(const void* p, bool read_only);
  void remove(const void* p);
  void check(const void* p, std::size_t size, std::size_t alignment, bool write) const;

 private:
  struct Region {
    std::uintptr_t end = 0;
    std::string name;
    bool read_only = false;
  };
  std::map<std::uintptr_t, Region> regions_;
};

}  // namespace orrery::emulator
