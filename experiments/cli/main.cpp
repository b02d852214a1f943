#include <iostream>

#include "experiments/cli/cli.hpp"

int main(int argc, char** argv) {
  return orrery::run_cli({argv + 1, argv + argc}, std::cout, std::cerr);
}
