#include "tests/experiments/cli_fixture.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "experiments/cli/cli.hpp"

namespace orrery {

Answer orrery(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int code = run_cli(arguments, out, err);
  return {code, out.str(), err.str()};
}

std::vector<std::string> quick(std::vector<std::string> more) {
  std::vector<std::string> all{"run", kQuickstart, "--set", "/workload/requests=300"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void Cli::SetUp() {
  const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
  folder_ = fs::temp_directory_path() / ("orrery-cli-" + std::to_string(::getpid()) + "-" + name);
  fs::remove_all(folder_);
  fs::create_directories(folder_);
}

std::string Cli::write(const std::string& name, const std::string& text) const {
  std::ofstream(folder_ / name) << text;
  return path(name);
}

std::string Cli::error_of(const std::string& member) const {
  const std::string config = write("bad.json", R"({"model": "llama-3.1-8b", "hardware": "h200-sxm",
    "workload": {"arrival": {"process": "poisson", "rate": 5}, "lengths": {"prompt": 100, "output": 10},
        "requests": 20}})");
  const Answer a = orrery({"run", config, "--set", member});
  EXPECT_EQ(a.code, 1) << member;
  EXPECT_EQ(a.out, "") << member;
  return a.err;
}

std::string Cli::trace_error(const std::string& text) const {
  write("trace.csv", text);
  const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "trace.csv"}})");
  const Answer a = orrery({"run", config});
  EXPECT_EQ(a.code, 1);
  std::string err = a.err;
  const std::string place = path("trace.csv");
  for (std::size_t at; (at = err.find(place)) != std::string::npos;) err.replace(at, place.size(), "trace.csv");
  return err;
}

std::string Cli::read(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace orrery
