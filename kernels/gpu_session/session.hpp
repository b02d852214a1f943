/// Measures the GPU kernels on the machine it runs on: every case is timed, compared with its bound or baseline, and
/// written to one JSON file with the date and the machine.
///
///   Session session(Size::kFull);
///   const Timing t = session.time(copies, [&](int copy, Stream s) { rmsnorm(args[copy], s); });
///   session.add({.name = "rmsnorm", .shape = "8192x4096", .timing = t, .bytes = b, .baseline = "copy", ...});
///
/// What has been measured is in the file at any time (keep_in), so that a hang or a crash loses one case. A case that
/// throws is an error in the document, and the next goes on; where the device itself is lost (an illegal address ends
/// every later call of a process) the rest is not tried.
///
/// Timing: launches captured in a CUDA graph that rotates `copies` sets of buffers (beyond the L2 cache, as a model's
/// layers are), two warm-up replays, then the median and the interquartile range of nine. Size::kSmall is for the
/// emulator: shapes of a few tokens, every case called once, so that its arguments are checked where there is no GPU;
/// its times mean nothing and are 0.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/common/scalar.hpp"
#include "kernels/device/buffer.hpp"

namespace orrery::ORRERY_GPU {

enum class Size { kFull, kSmall };

struct Timing {
  double seconds = 0, spread = 0;        ///< of one launch; interquartile range
};

struct Result {
  std::string name = {}, shape = {};
  Timing timing = {};
  double bytes = 0, flops = 0;           ///< that the operator must move or do; 0 = not the bound
  std::string baseline = {};             ///< what it is compared with
  double baseline_seconds = 0;
};

class Session {
 public:
  explicit Session(Size size);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool small() const { return size_ == Size::kSmall; }
  template <class T>
  T pick(T full, T small_value) const { return small() ? small_value : full; }
  Stream stream() const { return stream_; }
  int processors() const { return processors_; }

  Timing time(int copies, const std::function<void(int copy, Stream stream)>& launch);
  /// So many sets of buffers of `bytes` each that a rotation passes three times the L2 cache.
  int copies(std::int64_t bytes) const;

  void add(Result result);
  /// Compared with a copy of as many bytes at the rate of the fastest copy seen (set_copy_rate).
  void add_memory_bound(Result result);
  void set_copy_rate(double bytes_per_second) { copy_rate_ = bytes_per_second; }
  double copy_rate() const { return copy_rate_; }
  /// Runs one case or several; what they throw is printed and kept as an error, and the caller goes on.
  void group(const std::string& name, const std::function<void()>& cases);
  /// The document is written into this file after each result and error.
  void keep_in(std::string path);
  bool lost() const { return lost_; }    ///< the device takes no more launches of this process

  const std::vector<Result>& results() const { return results_; }
  const std::vector<std::string>& errors() const { return errors_; }
  /// The JSON document.
  std::string json() const;

 private:
  Size size_;
  Stream stream_ = nullptr;
  int processors_ = 1;
  std::int64_t l2_bytes_ = 0;
  double copy_rate_ = 1;
  std::string machine_;                  ///< JSON
  std::vector<Result> results_;
  std::vector<std::string> errors_;
  std::string path_;
  bool lost_ = false;
  void keep() const;
};

/// Random bf16 numbers of variance 1 / 12, made on the device.
DeviceBuffer<Bf16> random_buffer(std::int64_t n, std::uint64_t salt, double width = 1);
/// A buffer that kernels may write, with this content.
template <class T>
DeviceBuffer<T> buffer_of(const std::vector<T>& host) {
  DeviceBuffer<T> b(host.size(), "buffer");
  if (!host.empty()) device_upload(b.data(), host.data(), host.size() * sizeof(T));
  return b;
}

// The groups of cases, one file each.
void measure_copies(Session& session);        ///< first: it sets the copy rate
void measure_operators(Session& session);
void measure_products(Session& session);
void measure_experts(Session& session);
void measure_decode(Session& session);
void measure_quantised(Session& session);
void measure_prefill(Session& session);
void measure_mixed(Session& session);
void measure_tree(Session& session);
void measure_pages(Session& session);

/// In the order in which they are measured; the copies, which all are compared with, are not among them.
std::vector<std::string> group_names();
/// The copies, then these groups; all where none is named. Throws std::invalid_argument for an unknown name.
void measure(Session& session, const std::vector<std::string>& groups = {});

}  // namespace orrery::ORRERY_GPU
