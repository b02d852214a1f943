/// The nearest known name to one that is not known, for "did you mean".
///
///   nearest_name("sarati", {"orca", "sarathi"})  == "sarathi"
///   did_you_mean("sarati", names)                == "; did you mean \"sarathi\"?"     "" when nothing is near
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orrery {

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`, case ignored. O(|a| |b|).
int edit_distance(std::string_view a, std::string_view b);

/// The closest known name, the earlier of equals; "" if none is within a third of the longer length (at least 2 edits)
/// and none has `name` inside it.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// The known key that other programs call `name` ("tensor_parallel_size": "tp"), by a list of words that mean the same;
/// "" if none does.
std::string same_meaning(std::string_view name, const std::vector<std::string>& known);

/// Ready to append to a message: by meaning, or else by spelling.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

/// `unknown model "lama"; did you mean "llama-3.1-8b"?`, or, where nothing is near, `...; known: a, b, c`. Aliases are
/// suggested, a name before an alias that is no nearer, and not listed.
std::string unknown_name(std::string_view kind, std::string_view name, const std::vector<std::string>& known,
                         const std::vector<std::string>& aliases = {});

}  // namespace orrery
