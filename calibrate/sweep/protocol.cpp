#include "calibrate/sweep/protocol.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "calibrate/fit/residual_fit.hpp"

namespace orrery {
namespace {

bool same_sweep(const Value& a, const Value& b) {
  Value x = a, y = b;
  for (const auto* key : {"machine", "probe", "device", "condition", "power"}) x.erase(key), y.erase(key);
  return to_json(x, -1) == to_json(y, -1);
}

std::string contents(const std::string& path) {
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

bool complete(const SweepPlan& plan, const Journal& journal) {
  return std::all_of(plan.order.begin(), plan.order.end(), [&](const SweepEntry& e) { return journal.has(e); });
}

}  // namespace

double take_sample(Trial& trial) {
  if (!trial.repeats()) return trial.run(1);
  trial.run(1);
  const double once = trial.run(1);
  const auto launches =
      std::min(kMostLaunches, static_cast<std::int64_t>(std::ceil(kSampleSeconds / std::max(once, 1e-9))));
  if (launches <= 1) return once;
  trial.run(launches);
  return trial.run(launches) / static_cast<double>(launches);
}

Journal::Journal(std::string path, const Value& header, const SweepPlan& plan)
    : path_(std::move(path)), header_(header) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) throw ConfigError(path_ + ": " + std::strerror(errno));
  try {
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) throw ConfigError(path_ + ": another process is writing it");
    read(plan);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

Journal::~Journal() { ::close(file_); }

void Journal::read(const SweepPlan& plan) {
  const std::string text = contents(path_);
  const std::size_t end = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  if (end != text.size() && ::ftruncate(file_, static_cast<off_t>(end)) != 0)
    throw ConfigError(path_ + ": " + std::strerror(errno));
  if (end == 0) return write(to_json(header_, -1));
  Value here;  // this machine
  int line = 0;
  for (std::size_t at = 0; at < end; ++line) {
    const std::size_t stop = text.find('\n', at);
    const std::string where = path_ + ":" + std::to_string(line + 1);
    const Value v = parse_json(std::string_view(text).substr(at, stop - at), where);
    at = stop + 1;
    if (line == 0) {
      if (!same_sweep(v, header_)) throw ConfigError(where + ": samples of another sweep; --force measures anew");
      here = std::exchange(header_, v);
      continue;
    }
    if (const Value* reason = v.find("failed")) {
      failed_[static_cast<std::size_t>(v.at("point").as_int())] = reason->as_string();
      continue;
    }
    const double seconds = v.at("s").as_double();
    if (!(seconds > 0)) throw ConfigError(where + ": expected a positive time");
    done_[{static_cast<std::size_t>(v.at("point").as_int()), static_cast<int>(v.at("visit").as_int())}] = seconds;
  }
  if (!complete(plan, *this) && to_json(header_.at("machine"), -1) != to_json(here.at("machine"), -1)) {
    throw ConfigError(path_ + ": unfinished samples of another machine; --force measures anew");
  }
}

void Journal::write(const std::string& line) {
  const std::string whole = line + "\n";
  if (::write(file_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) {
    throw ConfigError(path_ + ": cannot write: " + std::strerror(errno));
  }
}

namespace {

Value line_of(SweepEntry e, const SweepPoint& point) {
  Value v = Value::object();
  v["point"] = static_cast<std::int64_t>(e.point);
  v["visit"] = e.visit;
  if (e.visit == 0) {  // once, so that the file can be read without the plan
    const Value shape = to_value(point);
    for (const Value::Member& m : shape.members()) v[m.first] = m.second;
  }
  return v;
}

}  // namespace

void Journal::add(SweepEntry e, const SweepPoint& point, double seconds) {
  Value v = line_of(e, point);
  v["s"] = seconds;
  write(to_json(v, -1));
  done_[e] = seconds;
}

void Journal::fail(SweepEntry e, const SweepPoint& point, const std::string& reason) {
  Value v = line_of(e, point);
  v["failed"] = reason;
  write(to_json(v, -1));
  failed_[e.point] = reason;
}

std::vector<double> Journal::samples(std::size_t point) const {
  std::vector<double> out;
  if (failed_.count(point) > 0) return out;
  for (auto it = done_.lower_bound({point, 0});
       it != done_.end() && it->first.point == point && it->first.visit < kSentinelVisits; ++it) {
    out.push_back(it->second);
  }
  return out;
}

void run_sweep(const SweepPlan& plan, SweepBackend& backend, Journal& journal,
               const std::function<void(std::size_t, std::size_t)>& progress) {
  for (const SweepEntry& e : plan.order) {
    if (journal.has(e)) continue;
    const SweepPoint& point = plan.points[e.point];
    try {
      const double seconds = take_sample(*backend.prepare(point));
      if (!(seconds > 0)) throw std::runtime_error("the clock did not move");
      journal.add(e, point, seconds);
    } catch (const ConfigError&) {             // of the journal
      throw;
    } catch (const std::exception& problem) {
      journal.fail(e, point, problem.what());
      if (!backend.usable()) {
        throw ConfigError(std::string(name(point.op)) + " point " +
                          std::to_string(e.point) +
                          " ended the device's work (" + problem.what() +
                          "); called again, the sweep goes on without it");
      }
    }
    progress(journal.size(), plan.order.size());
  }
}

double sentinel_drift(const SweepPlan& plan, const Journal& journal) {
  std::array<std::vector<double>, 3> passes;
  for (const std::size_t p : plan.sentinels) {
    if (journal.failed().count(p) > 0) continue;
    std::array<double, 3> t{};
    for (int pass = 0; pass < 3; ++pass)
      t[static_cast<std::size_t>(pass)] = journal.sample({p, kSentinelVisits + pass});
    const double mean = (t[0] + t[1] + t[2]) / 3;
    for (std::size_t i = 0; i < 3; ++i) passes[i].push_back(t[i] / mean);
  }
  if (passes[0].empty())
    throw ConfigError("none of the sentinels could be measured: " + journal.failed().begin()->second);
  const std::array<double, 3> middle{quantile(passes[0], 0.5), quantile(passes[1], 0.5), quantile(passes[2], 0.5)};
  return 100 * (*std::max_element(middle.begin(), middle.end()) - *std::min_element(middle.begin(), middle.end()));
}

}  // namespace orrery
