/// What a virtually contiguous pool needs of a machine: a range of reserved addresses, and page groups of memory that
/// can be put behind any part of it. Two of them: anonymous memory of the host (mmap), and device memory through the
/// driver's virtual memory functions (cuMemAddressReserve, cuMemCreate, cuMemMap).
///
///   std::unique_ptr<PageMapper> pages = host_pages({.address_bytes = 1 << 30, .group_bytes = 65536, .groups = 512});
///   if (pages->map(offset, group)) ...                            // offset: a multiple of group_bytes
///
/// The mapper owns addresses and memory; both end with it. Groups are numbered from 0 and may be behind one address at
/// a time. Fresh and remapped memory holds anything. map() and unmap() may be called from any thread, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace orrery {

struct PageSpace {
  std::int64_t address_bytes = 0;           ///< to reserve, a multiple of group_bytes
  std::int64_t group_bytes = 65536;         ///< of a page group
  std::int64_t groups = 0;                  ///< memory
};

class PageMapper {
 public:
  virtual ~PageMapper() = default;
  virtual std::byte* base() const = 0;
  /// False, and nothing has changed, if the system refuses.
  virtual bool map(std::int64_t offset, std::int64_t group) = 0;
  /// What map() put there is taken away; the addresses stay reserved, and an access faults.
  virtual void unmap(std::int64_t offset) = 0;
};

/// Throw std::invalid_argument for a group size that the machine cannot map, std::system_error if it refuses.
using MakePages = std::unique_ptr<PageMapper> (*)(const PageSpace&);
std::unique_ptr<PageMapper> host_pages(const PageSpace& space);

}  // namespace orrery
