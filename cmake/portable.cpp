/// For programs that carry the C++ runtime in them. Debian 12's libstdc++.a refers to arc4random, which glibc has since
/// 2.36 only, from std::random_device, which nothing here uses. This stands in for it, so that glibc 2.34 will do.
#include <sys/random.h>

#include <cstdint>
#include <cstdlib>

extern "C" __attribute__((visibility("hidden"))) std::uint32_t arc4random() {
  std::uint32_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) std::abort();
  return bits;
}
