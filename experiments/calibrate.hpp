/// The verb calibrate: sweeps our kernels on this machine and writes a measured hardware model.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace orrery {

struct CalibrateOptions {
  std::string backend = "cpu", out, model;   ///< "": llama-tiny on the CPU, llama-3.1-8b on a GPU
  std::vector<std::string> from;      ///< logs of the user's engine: not available yet
  bool quick = false, force = false, json = false, quiet = false;
};

/// Writes OUT and, beside it, OUT without ".json" + ".samples.jsonl", which a killed run leaves behind and the next one
/// goes on from; complete samples are fitted again without measuring. 0, or 2 if the sentinels moved too far: measure
/// again.
int calibrate_verb(const CalibrateOptions& options, std::ostream& out, std::ostream& err);

}  // namespace orrery
