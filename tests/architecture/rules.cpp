#include "tests/architecture/rules.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <ostream>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>
#include <tuple>

namespace orrery::architecture {
namespace {

using std::string;
using std::string_view;

const std::set<string, std::less<>> kFolders = {"sim",       "policies",    "hwmodels", "kernels",
                                                "calibrate", "experiments", "traces",   "tests"};

/// What files below `from` may include, as prefixes of paths. The first row that matches a file counts.
struct Direction {
  string_view from;
  std::vector<string_view> to;
};
const std::vector<Direction> kDirections = {
    {"sim/base/", {"sim/base/"}},
    {"sim/config/", {"sim/base/", "sim/config/"}},
    {"sim/", {"sim/"}},
    {"hwmodels/", {"hwmodels/", "sim/base/", "sim/cost", "sim/config/"}},
    {"traces/", {"traces/", "sim/base/", "sim/request", "sim/call", "sim/config/"}},
    {"policies/", {"policies/", "sim/base/", "sim/config/", "sim/*"}},
    {"kernels/", {"kernels/", "sim/base/"}},
    {"calibrate/", {"calibrate/", "kernels/", "hwmodels/", "policies/", "sim/"}},
    {"experiments/", {"experiments/", "calibrate/", "policies/", "hwmodels/", "traces/", "sim/"}},
    {"tests/", {""}},
};

/// Where the headers of a library may be included.
struct Library {
  string_view name, header;             ///< `header` is how its include paths begin
  std::vector<string_view> homes;       ///< prefixes of paths
};
const std::vector<Library> kLibraries = {
    {"CLI11", "CLI/", {"experiments/cli/"}},
    {"Eigen", "Eigen/", {"calibrate/", "kernels/"}},
    {"GoogleTest", "gtest/", {"tests/"}},
    {"GoogleTest", "gmock/", {"tests/"}},
};
/// Names of policies that are also something else: a metrics convention, the absence of a feature.
const std::set<string> kAlsoSomethingElse = {"vllm", "none"};
constexpr int kJsonFiles = 3;   ///< .cpp files that may include nlohmann/json

/// Written by the build, not in the tree.
const std::set<string> kGenerated = {"tests/mutation/count.hpp"};

/// Here results must have the same bits on every machine.
const std::vector<string_view> kDeterministic = {"sim/", "policies/", "hwmodels/", "traces/"};

const std::regex& libm_call() {
  static const std::regex re(
      R"((^|[^\w.>:]|std::|[^\w:]::)((exp|exp2|expm1|log|log2|log10|log1p|pow|cbrt|hypot)"
      R"(|sin|cos|tan|asin|acos|atan|atan2|sinh|cosh)"
      R"(|tanh|asinh|acosh|atanh|erf|erfc|tgamma|lgamma)[fl]?)\s*\()");
  return re;
}
const std::regex& outside_world() {
  static const std::regex re(
      R"(\b(random_device|system_clock|steady_clock|high_resolution_clock)"
      R"(|(uniform|normal|lognormal|exponential|gamma|poisson)_\w*distribution|s?rand\s*\(\s*\)|drand48))");
  return re;
}

bool starts_with_any(string_view path, const std::vector<string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](string_view p) {
    if (!p.ends_with('*')) return path.starts_with(p);
    p.remove_suffix(1);   // "dir/*": the files of that folder, not those of its sub-folders
    return path.starts_with(p) && path.find('/', p.size()) == string_view::npos;
  });
}

bool is_header(string_view path) { return path.ends_with(".hpp") || path.ends_with(".cuh"); }
bool is_bench(string_view path) { return path.find("_bench.") != string_view::npos; }

/// "policies/batching" of "policies/batching/orca.cpp"; empty for files directly in policies/.
string_view family(string_view path) {
  const auto slash = path.find('/', string_view("policies/").size());
  return slash == string_view::npos ? string_view{} : path.substr(0, slash);
}

std::vector<string> lines_of(const string& text) {
  std::vector<string> lines;
  std::istringstream in(text);
  for (string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class Checker {
 public:
  explicit Checker(const Tree& tree) : tree_(tree) {}

  std::vector<Violation> run() {
    collect_policies();
    for (const auto& [path, text] : tree_) check_file(path, text);
    if (json_files_.size() > static_cast<std::size_t>(kJsonFiles)) {
      for (const auto& [path, line] : json_files_) {
        add(path, line, "nlohmann/json is included in " + std::to_string(json_files_.size()) + " files, at most " +
                            std::to_string(kJsonFiles) + " may; use sim/config/value.hpp");
      }
    }
    std::sort(found_.begin(), found_.end(),
              [](const auto& a, const auto& b) { return std::tie(a.file, a.line) < std::tie(b.file, b.line); });
    return found_;
  }

 private:
  void add(string_view file, int line, string rule) { found_.push_back({string(file), line, std::move(rule)}); }

  /// Class names and configuration names of `registry.add<Class>("name", ...)` below policies/.
  void collect_policies() {
    static const std::regex re(R"re(\badd<\s*(\w+)\s*>\(\s*"([^"]+)")re");
    for (const auto& [path, text] : tree_) {
      if (!path.starts_with("policies/")) continue;
      const string code = code_of(text, true);
      for (std::sregex_iterator it(code.begin(), code.end(), re), end; it != end; ++it) {
        policy_names_.insert((*it)[1]);
        if (!kAlsoSomethingElse.contains((*it)[2])) policy_literals_.insert('"' + (*it)[2].str() + '"');
      }
    }
  }

  void check_file(const string& path, const string& text) {
    if (is_header(path)) check_header(path, text);
    const auto lines = lines_of(code_of(text, true));
    const auto bare = lines_of(code_of(text, false));
    static const std::regex include(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const int number = static_cast<int>(i) + 1;
      std::smatch m;
      if (std::regex_search(lines[i], m, include)) {
        check_include(path, number, m[2], m[1] == "\"");
      } else {
        check_code(path, number, bare[i], lines[i]);
      }
    }
  }

  void check_header(const string& path, const string& text) {
    if (!text.starts_with("///"))
      add(path, 1, "a header opens with a /// comment: what it is, units, owners, an example");
    const auto lines = lines_of(code_of(text, true));
    const auto first = std::find_if(lines.begin(), lines.end(), [](const string& l) {
      return l.find_first_not_of(" \t\r") != string::npos;
    });
    if (first == lines.end() || !first->starts_with("#pragma once")) {
      add(path, first == lines.end() ? 1 : static_cast<int>(first - lines.begin()) + 1, "#pragma once comes first");
    }
  }

  void check_include(const string& path, int line, const string& what, bool quoted) {
    if (what.starts_with("nlohmann/")) {
      if (is_header(path)) add(path, line, "nlohmann/json in a header; use sim/config/value.hpp");
      if (json_files_.empty() || json_files_.back().first != path) json_files_.emplace_back(path, line);
    }
    if (what.starts_with("benchmark/") && !is_bench(path)) add(path, line, "Google Benchmark only in *_bench files");
    for (const Library& library : kLibraries) {
      if (what.starts_with(library.header) && !starts_with_any(path, library.homes)) {
        add(path, line, string(library.name) + " may not be used here");
      }
    }
    const string top = what.substr(0, what.find('/'));
    if (!kFolders.contains(top) || what.find('/') == string::npos) {
      if (quoted) add(path, line, "include from the root: \"" + what + "\" names no folder of the tree");
      return;
    }
    if (!quoted) add(path, line, "our own headers are included with quotes");
    if (!tree_.contains(what) && !kGenerated.contains(what)) add(path, line, "no such file: " + what);
    check_direction(path, line, what);
  }

  void check_direction(const string& path, int line, const string& what) {
    for (const Direction& d : kDirections) {
      if (!path.starts_with(d.from)) continue;
      if (!starts_with_any(what, d.to)) add(path, line, string(d.from) + " may not include " + what);
      break;
    }
    const auto own = family(path), other = family(what);
    if (path.starts_with("policies/") && what.starts_with("policies/") && !own.empty() && !other.empty() &&
        own != other) {
      add(path, line, "a policy family may not include another: " + what);
    }
  }

  /// `code` has its string literals blanked, `full` has them.
  void check_code(const string& path, int line, const string& code, const string& full) {
    if (starts_with_any(path, kDeterministic)) {
      std::smatch m;
      if (std::regex_search(code, m, libm_call())) {
        add(path, line, m[2].str() + "() differs between C libraries and CPUs; use sim/base/math.hpp");
      }
      if (std::regex_search(code, m, outside_world())) {
        add(path, line, m[1].str() + " makes results depend on more than config and seed; use sim/base/rng.hpp");
      }
    }
    if (path.starts_with("sim/")) {
      static const std::regex word(R"([A-Za-z_]\w*)");
      for (std::sregex_iterator it(code.begin(), code.end(), word), end; it != end; ++it) {
        if (policy_names_.contains(it->str())) add(path, line, "sim/ names a policy: " + it->str());
      }
      for (const string& literal : policy_literals_) {
        if (full.find(literal) != string::npos) add(path, line, "sim/ names a policy: " + literal);
      }
    }
  }

  const Tree& tree_;
  std::set<string> policy_names_;      ///< classes
  std::set<string> policy_literals_;   ///< names in configs, with quotes
  std::vector<std::pair<string, int>> json_files_;
  std::vector<Violation> found_;
};

}  // namespace

std::vector<Violation> violations(const Tree& tree) { return Checker(tree).run(); }

std::ostream& operator<<(std::ostream& out, const Violation& v) {
  return out << v.file << ":" << v.line << ": " << v.rule;
}

Tree read_tree(const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  Tree tree;
  for (const string& folder : kFolders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const string extension = entry.path().extension().string();
      if (extension != ".hpp" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      std::ostringstream text;
      text << in.rdbuf();
      tree[fs::relative(entry.path(), root).generic_string()] = text.str();
    }
  }
  return tree;
}

std::string code_of(const std::string& text, bool keep_strings) {
  enum { kCode, kLine, kBlock, kString, kChar, kRaw } state = kCode;
  string out = text, raw_end;
  const auto blank = [&](std::size_t i) { if (out[i] != '\n') out[i] = ' '; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
    switch (state) {
      case kCode:
        if (c == '/' && next == '/') {
          state = kLine;
          blank(i);
        } else if (c == '/' && next == '*') {
          state = kBlock;
          blank(i);
          blank(++i);
        } else if (c == 'R' && next == '"' &&
                   (i == 0 || !(std::isalnum(static_cast<unsigned char>(text[i - 1])) || text[i - 1] == '_'))) {
          const auto open = text.find('(', i);
          if (open == string::npos) return out;
          raw_end = ")" + text.substr(i + 2, open - i - 2) + "\"";
          state = kRaw;
          i = open;
        } else if (c == '"') {
          state = kString;
        } else if (c == '\'' && !(i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])))) {  // not 1'000
          state = kChar;
        }
        break;
      case kLine:
        if (c == '\n') state = kCode;
        else blank(i);
        break;
      case kBlock:
        blank(i);
        if (c == '*' && next == '/') {
          blank(++i);
          state = kCode;
        }
        break;
      case kString:
      case kChar:
        if (c == (state == kString ? '"' : '\'') || c == '\n') {
          state = kCode;
        } else {
          if (!keep_strings) blank(i);
          if (c == '\\' && next != '\n') {
            ++i;
            if (!keep_strings) blank(i);
          }
        }
        break;
      case kRaw:
        if (text.compare(i, raw_end.size(), raw_end) == 0) {
          i += raw_end.size() - 1;
          state = kCode;
        } else if (!keep_strings) {
          blank(i);
        }
        break;
    }
  }
  return out;
}

}  // namespace orrery::architecture
