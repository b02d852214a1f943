/// The rules of the house that a compiler does not check: who may include whom, where a library may be used, what must
/// not be called where results have to be the same on every machine, how a header begins.
///
/// Works on the text of the sources, held in memory; time is linear in it. Comments and, where it matters, string
/// literals do not count.
///
///   for (const Violation& v : violations(read_tree(root))) std::cout << v << "\n";
#pragma once

#include <filesystem>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace orrery::architecture {

/// Path from the root, with '/', to content.
using Tree = std::map<std::string, std::string>;

struct Violation {
  std::string file;
  int line;            ///< from 1
  std::string rule;    ///< what was broken, in words
  friend bool operator==(const Violation&, const Violation&) = default;
};
std::ostream& operator<<(std::ostream&, const Violation&);

/// All C++ and CUDA sources below the source folders of `root`.
Tree read_tree(const std::filesystem::path& root);

/// Every rule over every file, in order of file and line.
std::vector<Violation> violations(const Tree& tree);

/// `text` with comments, and if asked the content of string and character literals, replaced by spaces; lines stay.
std::string code_of(const std::string& text, bool keep_strings);

}  // namespace orrery::architecture
