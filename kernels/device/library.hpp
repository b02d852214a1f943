/// Functions of a shared library that is opened at run time, so that programs start where it is not.
///
///   const Library driver("libcuda.so.1", "the CUDA driver");   // throws std::runtime_error: cannot open ...
///   driver.look_up("cuInit", api.init);                        // ... "the CUDA driver has no cuInit: it is too old"
///
/// It stays open until the program ends.
#pragma once

#include <dlfcn.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace orrery {

class Library {
 public:
  /// `called`: its name in messages; `hint`: what to do where it cannot be opened.
  Library(const std::string& file, std::string called, const std::string& hint = "")
      : handle_(dlopen(file.c_str(), RTLD_NOW)), called_(std::move(called)) {
    if (!handle_) throw std::runtime_error("cannot open " + file + " (" + (hint.empty() ? called_ : hint) + ")");
  }

  template <class F>
  void look_up(const char* name, F& function) const {
    function = reinterpret_cast<F>(dlsym(handle_, name));
    if (!function) throw std::runtime_error(called_ + " has no " + name + ": it is too old");
  }

 private:
  void* handle_;
  std::string called_;
};

}  // namespace orrery
