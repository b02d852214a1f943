#include "experiments/models.hpp"

#include <numeric>
#include <utility>

namespace orrery {
namespace {

Value quantiles(const Histogram& h) {
  Value v = Value::object();
  if (h.count() == 0) return v;
  v["mean"] = h.mean() * 1e-12;
  for (const auto& [key, p] : {std::pair{"p50", 50.0}, std::pair{"p90", 90.0}, std::pair{"p95", 95.0},
                               std::pair{"p99", 99.0}})
    v[key] = static_cast<double>(h.percentile(p)) * 1e-12;
  v["max"] = static_cast<double>(h.max()) * 1e-12;
  return v;
}

}  // namespace

ModelResults::ModelResults(std::vector<std::string> names, RowSink* next)
    : names_(std::move(names)), next_(next), models_(names_.size()) {}

void ModelResults::row(const Row& r) {
  Model& m = models_[r.model];
  ++m.requests[static_cast<std::size_t>(r.status)];
  if (r.status == Status::kDone) {
    m.ttft.add(to_ps(r.ttft()));
    m.e2e.add(to_ps(r.e2e()));
    m.queue.add(to_ps(r.queue()));
    if (r.output.value() > 1) m.tpot.add(to_ps(r.tpot()));
  }
  if (next_ != nullptr) next_->row(r);
}

Value ModelResults::table() const {
  Value out = Value::object();
  for (std::size_t i = 0; i < models_.size(); ++i) {
    const Model& m = models_[i];
    const std::int64_t offered = std::accumulate(m.requests.begin(), m.requests.end(), std::int64_t{0});
    if (offered == 0) continue;
    Value& v = out[names_[i].empty() ? "other" : names_[i]];
    v["requests"]["offered"] = offered;
    for (int s = 0; s < kStatuses; ++s) {
      const auto status = static_cast<Status>(s);
      v["requests"][status == Status::kDone ? "completed" : name(status)] = m.requests[static_cast<std::size_t>(s)];
    }
    v["ttft_s"] = quantiles(m.ttft);
    v["tpot_s"] = quantiles(m.tpot);
    v["e2e_s"] = quantiles(m.e2e);
    v["queue_s"] = quantiles(m.queue);
  }
  return out;
}

}  // namespace orrery
