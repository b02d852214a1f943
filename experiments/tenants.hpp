/// What each tenant got, and how evenly: requests and TTFT from the rows, service and demand from the tenant meter.
///
///   TenantResults tenants(names, also);   observers += tenants.meter();   rows -> tenants;
///   Value list = tenants.list();          // [{tenant, service, demand, requests, ttft_s, charged}]
///
/// All requests count, those of the warm-up too. Memory: one histogram a tenant (8 KiB an octave it touches).
#pragma once

#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "sim/metrics/histogram.hpp"
#include "sim/metrics/row.hpp"
#include "sim/metrics/tenant_service.hpp"

namespace orrery {

class TenantResults final : public RowSink {
 public:
  /// Names by number; index 0 is "" where a request names none. Rows are passed on to `next`, which may be null.
  TenantResults(std::vector<std::string> names, RowSink* next);
  void row(const Row& row) override;
  Observer* meter() { return &meter_; }
  /// Tenants without requests left out.
  Value list(const ChargeResult* charges = nullptr) const;   ///< with what their requests are charged, if they are
  TenantService service() const { return meter_.finish(); }

 private:
  struct Tenant {
    Histogram ttft;
    std::int64_t requests = 0;
    Spend spent;
  };
  std::vector<std::string> names_;
  RowSink* next_;
  std::vector<Tenant> tenants_;
  TenantMeter meter_;
};

}  // namespace orrery
