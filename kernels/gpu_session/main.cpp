/// gpu_session OUT.json: measures all GPU kernels on device 0.
#include <cstdio>
#include <exception>
#include <fstream>

#include "kernels/gpu_session/session.hpp"

int main(int argc, char** argv) {
  using namespace orrery::gpu;
  if (argc != 2) {
    std::fprintf(stderr, "usage: gpu_session OUT.json\n");
    return 1;
  }
  if (!device_present()) {
    std::fprintf(stderr, "gpu_session: no GPU (or no driver) on this machine\n");
    return 1;
  }
  try {
    Session session(Size::kFull);
    measure_all(session);
    std::ofstream out(argv[1]);
    out << session.json();
    if (!out.flush()) {
      std::fprintf(stderr, "gpu_session: cannot write %s\n", argv[1]);
      return 1;
    }
    return session.errors().empty() ? 0 : 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpu_session: %s\n", e.what());
    return 1;
  }
}
