/// requests.csv and timeline.csv (DESIGN section 4): buffered, decimal seconds exact to the picosecond without trailing
/// zeros, at least 3e6 rows a second on one core. What does not apply to a request is an empty field.
///
/// Each writer owns its file. The constructor throws std::runtime_error if it cannot be opened; a failed write is kept
/// and thrown by close(), which must be called before the file is used; nothing throws during the run.
///
///   RequestsCsv csv("out/requests.csv", {.tenants = {"web", "batch"}, .pool = "chat"});
///   recorder = Recorder({.rows = &csv, ...});  ...  csv.close();
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/metrics/row.hpp"
#include "sim/metrics/timeline.hpp"

namespace orrery {

/// Text out, a megabyte at a time.
class CsvFile {
 public:
  explicit CsvFile(const std::string& path);
  ~CsvFile();
  CsvFile(const CsvFile&) = delete;
  CsvFile& operator=(const CsvFile&) = delete;
  void close();

  void text(std::string_view s);
  void number(std::int64_t v);
  /// Picoseconds as seconds: 1500000000000 is "1.5".
  void seconds(std::int64_t ps);
  /// Nine digits after the point at most; for averages.
  void decimal(double v);
  /// Nine digits; for quantities of any size.
  void precise(double v);
  void comma() { *at_++ = ','; }
  /// Ends the line.
  void end() {
    *at_++ = '\n';
    if (at_ - buffer_.get() > kSize - kLine) flush();
  }

 private:
  static constexpr std::ptrdiff_t kSize = 1 << 20, kLine = 1 << 12;  ///< no line is longer but for its names
  void flush();

  std::string path_;
  std::FILE* file_;
  std::unique_ptr<char[]> buffer_;
  char* at_;
  bool failed_ = false;
};

/// Names by index, already unique; an index without a name is written as a number.
struct CsvNames {
  std::vector<std::string> tenants{}, classes{}, models{};
  std::string pool{};
  std::vector<std::string> pool_of{};   ///< by station, where there are several pools
  bool joules = false, usd = false, grams = false;   ///< what requests are charged; else empty fields
};

class RequestsCsv final : public RowSink {
 public:
  RequestsCsv(const std::string& path, CsvNames names);
  void row(const Row& row) override;
  void close() { file_.close(); }

 private:
  void name_of(const std::vector<std::string>& names, std::uint16_t index);

  CsvFile file_;
  CsvNames names_;
};

class TimelineCsv final : public TimelineSink {
 public:
  struct Config {
    int replicas = 1;
    int stages = 1;
    std::int64_t blocks = 0;           ///< KV blocks of all replicas
    std::int64_t idle_milliwatts = 0;  ///< of one replica
    double usd_per_hour = 0;           ///< of all replicas, as if they were there all the time (Window::saved)
  };
  TimelineCsv(const std::string& path, Config config);
  void window(Window& window) override;
  void close() { file_.close(); }

 private:
  CsvFile file_;
  Config config_;
};

}  // namespace orrery
