/// What each tenant of a trace got: requests, TTFT, and service as VTC counts it (prompt tokens + 2 x output tokens;
/// Sheng et al., OSDI'24, section 4.1, their default weights).
///
///   TenantSink sink(names);   recorder rows -> sink;   Value tenants = sink.summary();
///
/// All requests count, those of the warm-up too. Memory: one histogram a tenant (8 KiB an octave it touches).
#pragma once

#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "sim/metrics/histogram.hpp"
#include "sim/metrics/row.hpp"

namespace orrery {

class TenantSink final : public RowSink {
 public:
  /// Names by number; index 0 is "" where a request names none.
  explicit TenantSink(std::vector<std::string> names) : names_(std::move(names)), tenants_(names_.size()) {}
  void row(const Row& row) override;
  /// [{tenant, service, requests, ttft_s}], tenants without requests left out.
  Value summary() const;

 private:
  struct Tenant {
    Histogram ttft;
    std::int64_t requests = 0, service = 0;
  };
  std::vector<std::string> names_;
  std::vector<Tenant> tenants_;
};

}  // namespace orrery
