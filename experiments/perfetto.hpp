/// timeline.perfetto-trace: what happened to each request in a part of the run, for ui.perfetto.dev (it reads the JSON
/// trace-event format under any name). A track a replica; on it each request as queue, prefill and decode.
///
///   PerfettoTrace trace(path, parse_span("60s..90s"));    // a RowSink;  trace.close();
///
/// Requests that leave the system inside or after the span and arrive before its end are in it, whole. About 400 bytes
/// each.
#pragma once

#include <cstdio>
#include <string>

#include "sim/metrics/row.hpp"

namespace orrery {

struct TimeSpan { Time from{}, to{}; };

/// "60s..90s", "1min..2min"; throws ConfigError.
TimeSpan parse_span(const std::string& text);

class PerfettoTrace final : public RowSink {
 public:
  PerfettoTrace(const std::string& path, TimeSpan span);   ///< throws ConfigError
  ~PerfettoTrace() override;
  PerfettoTrace(const PerfettoTrace&) = delete;
  PerfettoTrace& operator=(const PerfettoTrace&) = delete;
  void row(const Row& row) override;
  void close();                                            ///< throws ConfigError if something could not be written

 private:
  void slice(const Row& row, const char* name, Time from, Time to);
  void name_replica(int replica);

  std::string path_;
  TimeSpan span_;
  std::FILE* file_;
  int named_ = 0;               ///< replicas that have a name already
  bool first_ = true;
};

}  // namespace orrery
