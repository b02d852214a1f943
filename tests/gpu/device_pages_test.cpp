/// Device memory behind contiguous addresses, with a driver that only keeps books: whatever the pool does, no address
/// is mapped twice, no memory is in two places, and at the end nothing is left.
#include "kernels/virtual_kv/device_pages.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <stdexcept>
#include <system_error>

#include "kernels/virtual_kv/virtual_kv.hpp"

namespace orrery {
namespace {

constexpr std::size_t kPage = 2 << 20;
constexpr CUdeviceptr kBase = CUdeviceptr{1} << 40;

struct Books {
  std::set<CUmemGenericAllocationHandle> memory;
  std::map<CUdeviceptr, CUmemGenericAllocationHandle> mapped;
  std::set<CUdeviceptr> accessible;
  std::size_t reserved = 0;
  std::size_t most_memory = 1000;           ///< handles that cuMemCreate gives out
  int refused_access = -1;                  ///< calls of cuMemSetAccess until one fails
  int contexts = 0;                         ///< retained
  bool current = false;
} books;

CUresult CUDAAPI fake_init(unsigned) { return CUDA_SUCCESS; }
CUresult CUDAAPI fake_string(CUresult, const char** text) {
  *text = "out of memory";
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_retain(CUcontext* context, CUdevice) {
  *context = reinterpret_cast<CUcontext>(&books);
  ++books.contexts;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_release_context(CUdevice) {
  --books.contexts;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_set_context(CUcontext context) {
  books.current = context == reinterpret_cast<CUcontext>(&books);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_granularity(std::size_t* bytes, const CUmemAllocationProp* what,
                                  CUmemAllocationGranularity_flags) {
  EXPECT_EQ(what->location.type, CU_MEM_LOCATION_TYPE_DEVICE);
  *bytes = kPage;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_reserve(CUdeviceptr* base, std::size_t bytes, std::size_t, CUdeviceptr, unsigned long long) {
  EXPECT_EQ(bytes % kPage, 0u);
  books.reserved = bytes;
  *base = kBase;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_free(CUdeviceptr base, std::size_t bytes) {
  EXPECT_TRUE(books.mapped.empty());
  EXPECT_EQ(base, kBase);
  EXPECT_EQ(bytes, books.reserved);
  books.reserved = 0;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_create(CUmemGenericAllocationHandle* handle, std::size_t bytes, const CUmemAllocationProp*,
                             unsigned long long) {
  EXPECT_EQ(bytes, kPage);
  if (books.memory.size() == books.most_memory) return CUDA_ERROR_OUT_OF_MEMORY;
  *handle = books.memory.size() + 7;
  books.memory.insert(*handle);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_release(CUmemGenericAllocationHandle handle) {
  EXPECT_EQ(books.memory.erase(handle), 1u);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_map(CUdeviceptr at, std::size_t bytes, std::size_t offset, CUmemGenericAllocationHandle handle,
                          unsigned long long) {
  EXPECT_TRUE(books.current);
  EXPECT_EQ(bytes, kPage);
  EXPECT_EQ(offset, 0u);
  EXPECT_TRUE(at >= kBase && at + bytes <= kBase + books.reserved && (at - kBase) % kPage == 0);
  EXPECT_TRUE(books.memory.contains(handle));
  for (const auto& [address, there] : books.mapped) EXPECT_TRUE(address != at && there != handle);
  books.mapped[at] = handle;
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_unmap(CUdeviceptr at, std::size_t bytes) {
  EXPECT_EQ(bytes, kPage);
  EXPECT_EQ(books.mapped.erase(at), 1u);
  books.accessible.erase(at);
  return CUDA_SUCCESS;
}
CUresult CUDAAPI fake_access(CUdeviceptr at, std::size_t, const CUmemAccessDesc* access, std::size_t count) {
  EXPECT_TRUE(books.mapped.contains(at));
  EXPECT_EQ(access->flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  EXPECT_EQ(count, 1u);
  if (books.refused_access-- == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  books.accessible.insert(at);
  return CUDA_SUCCESS;
}

const CudaVmm kFake = {fake_init,        fake_string,  fake_retain, fake_release_context, fake_set_context,
                       fake_granularity, fake_reserve, fake_free,   fake_create,          fake_release,
                       fake_map,         fake_unmap,   fake_access};

std::unique_ptr<PageMapper> fake_pages(const PageSpace& space) { return make_device_pages(space, kFake, 0); }

/// A page group of 2 MiB holds 1024 tokens of 8 heads of 128 in bf16; two layers, so a block is 4 groups.
VirtualKvConfig pool_of(std::int64_t groups) {
  return {.layers = 2, .slots = 3, .max_tokens = 5000, .kv_heads = 8, .head_dim = 128, .element_bytes = 2,
          .page_group_bytes = kPage, .page_groups = groups};
}

class DevicePages : public testing::Test {
 protected:
  void SetUp() override { books = {}; }
  void TearDown() override {
    EXPECT_TRUE(books.memory.empty());
    EXPECT_TRUE(books.mapped.empty());
    EXPECT_EQ(books.reserved, 0u);
    EXPECT_EQ(books.contexts, 0);
  }
};

TEST_F(DevicePages, BooksBalanceThroughALife) {
  VirtualKv pool(pool_of(24), fake_pages);
  EXPECT_EQ(pool.block_tokens(), 1024);
  EXPECT_EQ(books.memory.size(), 24u);
  const int a = pool.acquire(3000), b = pool.acquire(1);
  ASSERT_TRUE(pool.ensure(a, 3000));
  ASSERT_TRUE(pool.ensure(b, 1));
  EXPECT_EQ(books.mapped.size(), 16u);
  EXPECT_EQ(books.accessible.size(), 16u);
  pool.release(a);
  EXPECT_EQ(books.mapped.size(), 16u);                             // deferred
  const int c = pool.acquire(5000);                                // takes a's place
  EXPECT_EQ(c, a);
  ASSERT_TRUE(pool.ensure(c, 5000));
  EXPECT_FALSE(pool.ensure(b, 1025));                              // all 24 are in use
  EXPECT_EQ(books.mapped.size(), 24u);
  pool.release(c);
  pool.reclaim();
  EXPECT_EQ(books.mapped.size(), 4u);
}

TEST_F(DevicePages, TooLittleMemoryIsAnError) {
  books.most_memory = 10;
  try {
    VirtualKv pool(pool_of(24), fake_pages);
    FAIL();
  } catch (const std::system_error& e) {
    EXPECT_NE(std::string(e.what()).find("memory for KV: CUDA error 2, out of memory"), std::string::npos) << e.what();
  }
}

TEST_F(DevicePages, ARefusedMappingLeavesNothingBehind) {
  VirtualKv pool(pool_of(24), fake_pages);
  const int slot = pool.acquire(2000);
  books.refused_access = 6;
  EXPECT_FALSE(pool.ensure(slot, 2000));
  EXPECT_TRUE(books.mapped.empty());
  EXPECT_TRUE(pool.ensure(slot, 2000));
  EXPECT_EQ(books.accessible.size(), 8u);
}

TEST_F(DevicePages, SmallPagesAreRefused) {
  auto config = pool_of(24);
  config.page_group_bytes = 65536;
  EXPECT_THROW(VirtualKv(config, fake_pages), std::invalid_argument);
}

}  // namespace
}  // namespace orrery
