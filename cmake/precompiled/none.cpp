// Carries the parsed standard.hpp.
