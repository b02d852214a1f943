/// What the emulator throws out of a launch when a kernel does something that a GPU would not forgive, or worse, would.
#pragma once

#include <stdexcept>
#include <string>

namespace orrery::emulator {

class EmulatorError : public std::runtime_error {
 public:
  explicit EmulatorError(const std::string& what) : std::runtime_error(what) {}
};

}  // namespace orrery::emulator
