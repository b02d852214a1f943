/// What the requests for each model got, where they are for several (a trace's column `model`, /workload/models).
///
///   ModelResults models(names, also);   rows -> models;
///   Value by_model = models.table();    // {"m1": {requests{...}, ttft_s, tpot_s, e2e_s, queue_s}, ...}
///
/// All requests count, those of the warm-up too. Memory: four histograms a model (8 KiB an octave each touches), so
/// more than kMostModels have no table.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "sim/metrics/histogram.hpp"
#include "sim/metrics/row.hpp"

namespace orrery {

inline constexpr std::size_t kMostModels = 256;

class ModelResults final : public RowSink {
 public:
  /// Names by number; index 0 is "" where a request names none. Rows are passed on to `next`, which may be null.
  ModelResults(std::vector<std::string> names, RowSink* next);
  void row(const Row& row) override;
  /// By name; models without requests left out.
  Value table() const;

 private:
  struct Model {
    Histogram ttft, tpot, e2e, queue;
    std::array<std::int64_t, kStatuses> requests{};
  };
  std::vector<std::string> names_;
  RowSink* next_;
  std::vector<Model> models_;
};

}  // namespace orrery
