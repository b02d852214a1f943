/// The command line: arguments to verbs, and errors to exit codes (DESIGN section 2). 0 done (and SLO met, where one is
/// given), 2 done but SLO missed, 1 could not run, with one error a line on `err`.
///
///   return orrery::run_cli({argv + 1, argv + argc}, std::cout, std::cerr);
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace orrery {

int run_cli(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace orrery
