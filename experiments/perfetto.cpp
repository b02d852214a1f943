#include "experiments/perfetto.hpp"

#include <cerrno>
#include <cinttypes>
#include <cstring>

#include "sim/config/units.hpp"

namespace orrery {
namespace {

double microseconds(Time t) { return static_cast<double>(to_ps(t)) * 1e-6; }

}  // namespace

TimeSpan parse_span(const std::string& text) {
  const std::size_t dots = text.find("..");
  const ConfigError wrong("--timeline " + text + ": expected A..B, for instance 60s..90s");
  if (dots == std::string::npos) throw wrong;
  try {
    const TimeSpan span{Time{} + parse_duration(text.substr(0, dots)), Time{} + parse_duration(text.substr(dots + 2))};
    if (span.from < Time{} || span.to <= span.from) throw wrong;
    return span;
  } catch (const ConfigError&) { throw wrong; }
}

PerfettoTrace::PerfettoTrace(const std::string& path, TimeSpan span)
    : path_(path), span_(span), file_(std::fopen(path.c_str(), "wb")) {
  if (file_ == nullptr) throw ConfigError(path + ": cannot write: " + std::strerror(errno));
  std::fputs("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [", file_);
}

PerfettoTrace::~PerfettoTrace() {
  if (file_ != nullptr) std::fclose(file_);
}

void PerfettoTrace::name_replica(int replica) {
  for (; named_ <= replica; ++named_) {
    std::fprintf(file_,
                 "%s\n{\"ph\": \"M\", \"name\": \"process_name\", \"pid\": %d, \"args\": {\"name\": \"replica %d\"}}",
                 first_ ? "" : ",", named_ + 1, named_);
    first_ = false;
  }
}

void PerfettoTrace::slice(const Row& r, const char* what, Time from, Time to) {
  if (to <= from) return;
  for (const char phase : {'b', 'e'}) {
    std::fprintf(file_,
                 ",\n{\"ph\": \"%c\", \"cat\": \"request\", \"name\": \"%s\", \"id\": %" PRIu64
                 ", \"pid\": %d, \"ts\": %.6f",
                 phase, what, r.number, r.station.index + 1, microseconds(phase == 'b' ? from : to));
    if (phase == 'b')
      std::fprintf(file_, ", \"args\": {\"prompt\": %d, \"output\": %d}", r.prompt.value(), r.output.value());
    std::fputc('}', file_);
  }
}

void PerfettoTrace::row(const Row& r) {
  if (!r.station.valid() || r.arrival >= span_.to || r.finish == kNever || r.finish < span_.from) return;
  name_replica(r.station.index);
  slice(r, "queue", r.arrival, r.first_schedule);
  const Time prefilled = r.first_token == kNever ? r.finish : r.first_token;
  slice(r, "prefill", r.first_schedule, prefilled);
  slice(r, "decode", prefilled, r.finish);
}

void PerfettoTrace::close() {
  std::fputs("\n]}\n", file_);
  const bool failed = std::ferror(file_) != 0;
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  if (failed || !closed) throw ConfigError(path_ + ": cannot write: " + std::strerror(errno));
}

}  // namespace orrery
