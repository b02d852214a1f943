/// How a sweep is run, on any backend: one sample a visit, in the plan's order; every sample is in a journal before the
/// next is taken. All visits are alike, amid whole steps and other points: more of them for what scatters, at the end,
/// would find warmer caches (on the CPU half the time).
///
///   Journal journal(path, header, plan);                // continues what is there
///   run_sweep(plan, *backend, journal, progress);
///   journal.samples(point);                             // seconds of one launch, a value a visit
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "calibrate/sweep/backend.hpp"

namespace orrery {

inline constexpr double kSampleSeconds = 3e-3;  ///< a sample takes at least this long: as many launches as that needs

inline constexpr std::int64_t kMostLaunches = 100000;   ///< of a sample, whatever a clock says of a single one

/// Seconds of one launch. As many launches before, which bring the buffers to where a model's steps find them, do not
/// count: whole steps are measured likewise (live_step_engine.hpp), and their operators are to add up to them.
double take_sample(Trial& trial);

/// A file of JSON lines: a header that says what is measured where, then one line a sample, complete before anybody is
/// told of it. Whoever is killed loses the line it was writing and no other; opening the file again drops that line.
/// The file is locked while it is open.
class Journal {
 public:
  /// Throws ConfigError: another plan or backend, an unfinished sweep of another machine, a line that cannot be read, a
  /// file that another process writes.
  Journal(std::string path, const Value& header, const SweepPlan& plan);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  bool has(SweepEntry e) const { return done_.count(e) > 0 || failed_.count(e.point) > 0; }
  std::size_t size() const { return done_.size(); }
  void add(SweepEntry e, const SweepPoint& point, double seconds);
  /// The point cannot be run: it is never tried again, and what samples it has do not count.
  void fail(SweepEntry e, const SweepPoint& point, const std::string& reason);
  double sample(SweepEntry e) const { return done_.at(e); }
  std::vector<double> samples(std::size_t point) const;  ///< by visit, sentinels left out; none of a failed point
  const std::map<std::size_t, std::string>& failed() const { return failed_; }   ///< point -> reason
  const Value& header() const { return header_; }        ///< that of the file: the machine that measured

 private:
  void read(const SweepPlan& plan);
  void write(const std::string& line);

  std::string path_;
  Value header_;
  int file_ = -1;
  std::map<SweepEntry, double> done_;
  std::map<std::size_t, std::string> failed_;
};

/// Measures what the journal does not have. `progress` is told after each sample how many of all are there. A point
/// that throws is left out; where it has ended the device's work, ConfigError says so, and the next call goes on behind
/// it.
void run_sweep(const SweepPlan& plan, SweepBackend& backend, Journal& journal,
               const std::function<void(std::size_t done, std::size_t all)>& progress);

/// Percent: the largest difference between the medians over the sentinels at start, middle and end, each over its mean.
double sentinel_drift(const SweepPlan& plan, const Journal& journal);

}  // namespace orrery
