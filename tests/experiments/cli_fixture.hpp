/// The command line as a user meets it: verbs, exit codes, files, and the exact message of every mistake.
///
///   TEST_F(Cli, ...) { const Answer a = orrery(quick({"--json"}));   EXPECT_EQ(a.code, 0) << a.err; }
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "tests/source_dir.hpp"

namespace orrery {

namespace fs = std::filesystem;

struct Answer {
  int code;
  std::string out, err;
};

Answer orrery(const std::vector<std::string>& arguments);

inline const std::string kQuickstart = source_dir("/experiments/examples/quickstart.json");

/// The quickstart, small enough for a test.
std::vector<std::string> quick(std::vector<std::string> more = {});

/// A folder of its own for each test.
class Cli : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const;
  /// What is told about a config that is right but for one member.
  std::string error_of(const std::string& member) const;
  std::string trace_error(const std::string& text) const;
  static std::string read(const fs::path& file);
  fs::path folder_;
};

}  // namespace orrery
