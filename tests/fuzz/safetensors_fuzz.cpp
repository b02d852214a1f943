/// Any bytes as a safetensors file: refused with a ConfigError that names the file, or read, and then the tensors cover
/// the data exactly.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "calibrate/weights/safetensors.hpp"
#include "sim/config/value.hpp"

namespace {

void require(bool fact) {
  if (!fact) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  try {
    const SafetensorsFile file("fuzz.safetensors", {reinterpret_cast<const std::byte*>(data), size});
    std::size_t bytes = 8;
    for (std::size_t i = 8; i-- > 4;) require(data[i] == 0);   // a header below 2^32
    for (std::size_t i = 0; i < 4; ++i) bytes += std::size_t{data[i]} << (8 * i);
    unsigned sum = 0;
    for (const auto& [name, t] : file.tensors()) {
      bytes += t.bytes.size();
      for (const std::byte b : t.bytes) sum += std::to_integer<unsigned>(b);   // all of it is there
      require(t.elements() >= 0);
    }
    require(bytes == size && sum < 0xffffffffu);
  } catch (const ConfigError& e) {
    require(std::string_view(e.what()).find("fuzz.safetensors") != std::string_view::npos);
  }
  return 0;
}
