/// Writes the workload models that ship: fit_workload_models SOURCE_FOLDER OUTPUT_FOLDER.
#include <cstdio>
#include <fstream>
#include <string>

#include "traces/shipped_models.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: fit_workload_models SOURCE_FOLDER OUTPUT_FOLDER\n");
    return 1;
  }
  try {
    for (const orrery::ShippedModel& m : orrery::shipped_models()) {
      const orrery::Value v = orrery::fit_shipped_model(m.name, argv[1]);
      std::ofstream(std::string(argv[2]) + "/" + std::string(m.name) + ".json") << to_json(v, -1) << '\n';
      std::printf("%s %s\n", std::string(m.name).c_str(), to_json(v.at("fit"), -1).c_str());
    }
  } catch (const orrery::ConfigError& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
