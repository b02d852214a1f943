/// Every operator has its versions and its bench in one folder, and checks of both backends.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/source_dir.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

std::string all_of(const std::string& folder, const std::string& ending) {
  std::string text;
  for (const auto& file : fs::directory_iterator(source_dir(folder.c_str()))) {
    const std::string name = file.path().filename();
    if (name.size() < ending.size() || name.compare(name.size() - ending.size(), ending.size(), ending) != 0) continue;
    std::ifstream in(file.path());
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  return text;
}

TEST(Operators, HaveBothVersionsABenchAndTheirChecks) {
  const std::set<std::string> none{"common", "device", "engine", "gpu_session"};   // no operators
  const std::string on_cpu = all_of("/tests/kernels", "_test.cpp"), on_gpu = all_of("/tests/gpu_kernels", "_check.cpp");
  int found = 0;
  for (const auto& folder : fs::directory_iterator(source_dir("/kernels"))) {
    const std::string name = folder.path().filename();
    if (!folder.is_directory() || none.contains(name)) continue;
    ++found;
    std::set<std::string> kinds;
    for (const auto& file : fs::directory_iterator(folder.path())) {
      const std::string f = file.path().filename();
      const auto ends = [&](const std::string& e) { return f.size() > e.size() && f.substr(f.size() - e.size()) == e; };
      if (ends("_gpu_bench.cpp")) continue;
      if (ends("_bench.cpp")) kinds.insert("bench");
      else if (ends(".cu") || ends("_cuda.cpp")) kinds.insert("CUDA");
      else if (ends(".cpp")) kinds.insert("CPU");
    }
    EXPECT_EQ(kinds, (std::set<std::string>{"CPU", "CUDA", "bench"})) << name;
    EXPECT_NE(on_cpu.find("\"kernels/" + name + "/"), std::string::npos) << name << ": no check on the CPU";
    EXPECT_NE(on_gpu.find("\"kernels/" + name + "/"), std::string::npos) << name << ": no check on a GPU";
  }
  EXPECT_EQ(found, 14);
}

}  // namespace
}  // namespace orrery
