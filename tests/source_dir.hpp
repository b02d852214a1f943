/// Where the sources are, for tests that read files of the tree. One object file knows the path, so that the others
/// are the same whatever folder they are compiled in (a compiler cache then serves several clones).
#pragma once

#include <string>

namespace orrery {

/// The tree's root followed by `relative`, which begins with a slash or is empty.
std::string source_dir(const char* relative = "");

/// $ORRERY_DATA, or `shared/data` beside the tree, followed by `relative`.
std::string data_dir(const char* relative = "");

}  // namespace orrery
