/// Any text as a config: it is read, or refused with a ConfigError; and what is read survives being written and read
/// again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "experiments/run_config.hpp"
#include "sim/config/value.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  try {
    const Value value = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz.json");
    const std::string once = to_json(value);
    if (to_json(parse_json(once, "again.json")) != once) std::abort();
    ErrorList errors;
    read_run_config({value, {"fuzz.json"}, "."}, errors);
    errors.throw_if_any();
  } catch (const ConfigError& e) {
    if (std::string_view(e.what()).empty()) std::abort();
  }
  return 0;
}
