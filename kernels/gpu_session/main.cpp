/// gpu_session OUT.json [GROUP...]: measures the GPU kernels on device 0; OUT.json has what is measured at any time.
/// gpu_session --groups: their names.   gpu_session --device: the name of the device.
#include <cstdio>
#include <exception>
#include <string_view>

#include "kernels/gpu_session/session.hpp"

int main(int argc, char** argv) {
  using namespace orrery::gpu;
  if (argc < 2) {
    std::fprintf(stderr, "usage: gpu_session OUT.json [GROUP...] | --groups | --device\n");
    return 1;
  }
  if (std::string_view(argv[1]) == "--groups") {
    for (const std::string& name : group_names()) std::printf("%s\n", name.c_str());
    return 0;
  }
  if (!device_present()) {
    std::fprintf(stderr, "gpu_session: no GPU (or no driver) on this machine\n");
    return 1;
  }
  try {
    if (std::string_view(argv[1]) == "--device") {
      std::printf("%s\n", device_name().c_str());
      return 0;
    }
    Session session(Size::kFull);
    session.keep_in(argv[1]);
    measure(session, {argv + 2, argv + argc});
    return session.errors().empty() ? 0 : 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpu_session: %s\n", e.what());
    return 1;
  }
}
