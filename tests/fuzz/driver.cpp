/// Drives a fuzz target where there is no libFuzzer: every input of the corpus, then seeded mutations of them. The same
/// every time.
///
///   NAME RUNS CORPUS_FOLDER
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "sim/base/rng.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::vector<std::string> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return corpus;
}

/// One to eight edits: a byte changed, a stretch dropped, doubled, or taken from another input, a nasty token put in.
std::string mutated(const std::vector<std::string>& corpus, std::uint64_t seed) {
  static const std::vector<std::string> kNasty = {
      "-1", "0",    "nan",     "inf",  "1e999", "9223372036854775808", "\"", "{", "]", ",", "\n", "\r\n", "\xff", "//",
      "/*", "null", "\\u0000", "1e-9", " "};
  orrery::Rng rng(seed, orrery::Purpose::kFuzz, 0);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(rng.below(n)); };
  std::string s = corpus[below(corpus.size())];
  for (std::size_t edits = 1 + below(8); edits > 0; --edits) {
    const std::size_t at = below(s.size() + 1), length = below(std::min<std::size_t>(s.size() - at, 64) + 1);
    switch (below(5)) {
      case 0:
        if (at < s.size()) s[at] = static_cast<char>(below(256));
        break;
      case 1: s.erase(at, length); break;
      case 2: s.insert(at, s.substr(at, length)); break;
      case 3: s.insert(at, kNasty[below(kNasty.size())]); break;
      default: {
        const std::string& other = corpus[below(corpus.size())];
        const std::size_t from = below(other.size() + 1);
        s.replace(at, length, other.substr(from, below(65)));
      }
    }
  }
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::cerr << "usage: " << argv[0] << " RUNS CORPUS_FOLDER\n", 1;
  const auto corpus = read_corpus(argv[2]);
  if (corpus.empty()) return std::cerr << "no inputs in " << argv[2] << "\n", 1;
  for (const auto& input : corpus) run(input);
  const auto runs = std::strtoull(argv[1], nullptr, 10);
  for (std::uint64_t i = 0; i < runs; ++i) run(mutated(corpus, i));
  std::cout << corpus.size() << " inputs and " << runs << " mutations of them\n";
}
