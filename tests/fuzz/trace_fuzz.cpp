/// Any text as a trace: refused with a ConfigError whose lines name the file, or read, and then every row keeps the
/// rules of trace_reader.hpp and a second pass gives the same rows.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

#include "sim/base/rng.hpp"
#include "sim/config/value.hpp"
#include "traces/trace_reader.hpp"

namespace {

using namespace orrery;

void require(bool fact) {
  if (!fact) std::abort();
}

std::uint64_t read_all(TraceReader& trace) {
  std::uint64_t hash = 0;
  std::int64_t rows = 0;
  Time last{};
  while (const TraceRow* row = trace.next()) {
    const Request& r = row->request;
    require(r.arrival >= last);
    require(r.prompt_tokens >= Tokens32{1} && r.prompt_tokens.value() <= kMaxRequestTokens);
    require(r.output_tokens >= Tokens32{1} && r.output_tokens.value() <= kMaxRequestTokens);
    std::int64_t in_segments = 0;
    for (const Segment& s : r.segments) in_segments += s.tokens.value();
    require(in_segments <= r.prompt_tokens.value());
    last = r.arrival;
    ++rows;
    for (const std::int64_t x : {to_ps(r.arrival), Tokens{r.prompt_tokens}.value(), Tokens{r.output_tokens}.value()}) {
      hash = hash_combine(hash, static_cast<std::uint64_t>(x));
    }
  }
  require(rows == trace.facts().rows);
  return hash;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    TraceReader trace =
        TraceReader::from_text("fuzz.csv", {reinterpret_cast<const char*>(data), size}, {.arrivals = false});
    const std::uint64_t once = read_all(trace);
    trace.rewind();
    require(read_all(trace) == once);
  } catch (const ConfigError& e) {
    std::istringstream lines(e.what());
    for (std::string line; std::getline(lines, line);)
      require(line.find("fuzz.csv") != std::string::npos || line.find("more") != std::string::npos);
  }
  return 0;
}
