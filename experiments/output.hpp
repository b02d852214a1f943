/// The files of `--out DIR`: all of them or none. They are written into a folder beside DIR, which takes its name in one
/// rename when the run is done; a run that fails leaves nothing behind.
///
///   OutputFolder out("out", /*force=*/false);            // throws ConfigError: "out: exists already; ..."
///   RequestsCsv rows(out.file("requests.csv"), names);   // a RowSink
///   out.write("summary.json", text);
///   out.commit();
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/metrics/histogram.hpp"
#include "sim/metrics/row.hpp"
#include "sim/metrics/timeline.hpp"

namespace orrery {

class OutputFolder {
 public:
  /// `force` replaces an earlier output (a folder with a config.json or summary.json, or an empty one), nothing else.
  OutputFolder(std::string path, bool force);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  std::string file(std::string_view name) const { return temporary_ + "/" + std::string(name); }
  void write(std::string_view name, std::string_view text) const;
  void commit();

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

/// A file of lines behind a large buffer. Failures (disk full) throw ConfigError from close().
class LineFile {
 public:
  explicit LineFile(const std::string& path, std::string_view header);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  LineFile& text(std::string_view s);              ///< quoted where it must be
  LineFile& number(std::int64_t n);
  LineFile& seconds(std::int64_t ps);              ///< nine decimals, cut
  LineFile& real(double d);                        ///< shortest form
  LineFile& none();                                ///< an empty field
  void end_line();
  void close();

 private:
  void separate();
  void reserve(std::size_t bytes);

  std::string path_;
  std::FILE* file_;
  std::vector<char> buffer_;
  std::size_t used_ = 0;
  bool first_ = true, failed_ = false;
};

/// Names of what rows hold as numbers; index 0 is "" where a trace states none.
struct RowNames {
  std::vector<std::string> tenants, classes;
  std::string model, pool = "main";
};

/// requests.csv, one line a request in the order in which they leave. About 300 ns a line.
class RequestsCsv final : public RowSink {
 public:
  RequestsCsv(const std::string& path, RowNames names);
  void row(const Row&) override;
  void close() { file_.close(); }

 private:
  LineFile file_;
  RowNames names_;
};

struct TimelineScale {
  int stations = 1;
  std::int64_t blocks = 0;           ///< of one station
  double idle_watts = 0;             ///< of one station while it runs nothing
  double usd_per_hour = 0;           ///< of all
};

/// timeline.csv, one line a second.
class TimelineCsv final : public TimelineSink {
 public:
  TimelineCsv(const std::string& path, TimelineScale scale);
  void window(Window&) override;
  void close() { file_.close(); }

 private:
  LineFile file_;
  TimelineScale scale_;
};

/// actions.csv: its header alone while nothing acts on the cluster.
void write_actions_csv(const OutputFolder& out);

}  // namespace orrery
