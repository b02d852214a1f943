/// What the tests of traces share: where the published traces lie, a folder for files of a test, and short ways to read
/// a text, drain a source and catch a message.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "sim/base/rng.hpp"
#include "tests/source_dir.hpp"
#include "traces/make_source.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {

/// $ORRERY_DATA/traces, or "" if the data are not there.
inline std::string trace_folder() {
  const std::string folder = data_dir("/traces");
  return std::filesystem::exists(folder) ? folder : "";
}

#define ORRERY_NEEDS_TRACES() \
  if (trace_folder().empty()) GTEST_SKIP() << "published traces not found; set ORRERY_DATA"

/// A folder that lives as long as the test.
class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("orrery_traces_" + std::to_string(::getpid()) + "_" + std::to_string(count()++))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  static int& count() { static int n = 0; return n; }
  std::filesystem::path path_;
};

inline std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

/// A request with segments of its own.
struct Popped { Request request; std::vector<Segment> segments; };

inline std::vector<Popped> drain(RequestSource& source, Duration service = Duration{}) {
  std::vector<Popped> all;
  while (source.peek() != kNever) {
    Popped p;
    const Time due = source.peek();
    source.pop(p.request);
    EXPECT_EQ(p.request.arrival, due);
    EXPECT_EQ(p.request.number, all.size());
    EXPECT_TRUE(all.empty() || all.back().request.arrival <= p.request.arrival);
    EXPECT_LE(p.request.output_tokens, p.request.max_tokens);
    p.segments.assign(p.request.segments.begin(), p.request.segments.end());
    std::int64_t inside = 0;
    for (const Segment& s : p.segments) inside += s.tokens.value();
    EXPECT_LE(inside, p.request.prompt_tokens.value());
    all.push_back(p);
    source.on_done(all.back().request, p.request.arrival + service);
  }
  return all;
}

inline std::vector<Popped> requests_of(const std::string& workload, const SearchPath& path = {}, std::uint64_t seed = 1,
                                       Duration service = Duration{}) {
  ResolvedInfo info;
  const auto source = make_source(parse_json(workload), seed, path, info);
  return drain(*source, service);
}

/// Share of blocks (segments) that an unlimited cache has seen before.
inline double hit_ratio(const std::vector<Popped>& all) {
  std::unordered_set<std::uint64_t> seen;
  double hits = 0, blocks = 0;
  for (const Popped& p : all) {
    for (const Segment& s : p.segments) hits += !seen.insert(s.key).second;
    blocks += static_cast<double>(p.segments.size());
  }
  return hits / blocks;
}

}  // namespace orrery
