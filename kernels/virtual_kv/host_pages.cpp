#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include "kernels/virtual_kv/page_mapper.hpp"

namespace orrery {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

class HostPages final : public PageMapper {
 public:
  explicit HostPages(const PageSpace& space) : space_(space) {
    if (space.group_bytes % sysconf(_SC_PAGESIZE) != 0) {
      throw std::invalid_argument("page_group_bytes: expected a multiple of the system's page of " +
                                  std::to_string(sysconf(_SC_PAGESIZE)) + " bytes, got " +
                                  std::to_string(space.group_bytes));
    }
    void* const reserved = mmap(nullptr, static_cast<std::size_t>(space.address_bytes), PROT_NONE, kReserve, -1, 0);
    if (reserved == MAP_FAILED) fail("reserving addresses for KV");
    base_ = static_cast<std::byte*>(reserved);
    file_ = memfd_create("orrery-kv", MFD_CLOEXEC);
    if (file_ < 0 || ftruncate(file_, space.groups * space.group_bytes) != 0) {
      const int reason = errno;
      release();
      errno = reason;
      fail("memory for KV");
    }
  }
  ~HostPages() override { release(); }
  HostPages(const HostPages&) = delete;
  HostPages& operator=(const HostPages&) = delete;

  std::byte* base() const override { return base_; }
  bool map(std::int64_t offset, std::int64_t group) override {
    return mmap(base_ + offset, static_cast<std::size_t>(space_.group_bytes), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED, file_, group * space_.group_bytes) != MAP_FAILED;
  }
  /// Anonymous addresses without access take the place.
  void unmap(std::int64_t offset) override {
    mmap(base_ + offset, static_cast<std::size_t>(space_.group_bytes), PROT_NONE, kReserve | MAP_FIXED, -1, 0);
  }

 private:
  static constexpr int kReserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

  void release() {
    munmap(base_, static_cast<std::size_t>(space_.address_bytes));
    if (file_ >= 0) close(file_);
  }

  PageSpace space_;
  std::byte* base_ = nullptr;
  int file_ = -1;                           ///< anonymous: page group g begins at g * group_bytes
};

}  // namespace

std::unique_ptr<PageMapper> host_pages(const PageSpace& space) { return std::make_unique<HostPages>(space); }

}  // namespace orrery
