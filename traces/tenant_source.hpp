/// Tenants of generated workloads (/workload/tenants): drawn for each request of one stream, or each with a stream of
/// its own; models (/workload/models) are drawn alike. Tenant or model i of the list has the number i + 1 in requests;
/// 0 is nobody.
///
///   DrawnNames one(std::move(source), {0.75, 0.25}, seed, Purpose::kTenant, &Request::tenant);
///   TenantStreams two(std::move(sources), 20000);
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/request.hpp"

namespace orrery {

/// Each request, or each session, belongs to name i with probability shares[i] of their sum.
class DrawnNames final : public RequestSource {
 public:
  DrawnNames(std::unique_ptr<RequestSource> source, const std::vector<double>& shares, std::uint64_t seed,
             Purpose purpose, std::uint16_t Request::* name);
  Time peek() const override { return source_->peek(); }
  void pop(Request& out) override;
  void on_done(const Request& r, Time now) override { source_->on_done(r, now); }
  bool wants_done() const override { return source_->wants_done(); }
  std::int64_t size_hint() const override { return source_->size_hint(); }

 private:
  std::unique_ptr<RequestSource> source_;
  std::vector<double> up_to_;            ///< cumulated shares, the last is 1
  std::uint64_t seed_;
  Purpose purpose_;
  std::uint16_t Request::* name_;
};

/// The streams merged by time (at one instant in the order of the list) until `requests` have come. Numbers and
/// sessions are made unique. Memory: one entry a request in flight where a stream waits for answers.
class TenantStreams final : public RequestSource {
 public:
  TenantStreams(std::vector<std::unique_ptr<RequestSource>> streams, std::int64_t requests)
      : streams_(std::move(streams)), left_(requests) {}
  Time peek() const override;
  void pop(Request& out) override;
  void on_done(const Request& r, Time now) override;
  bool wants_done() const override;
  std::int64_t size_hint() const override { return left_; }

 private:
  struct Origin {
    std::size_t stream;
    std::uint64_t number;
    std::uint32_t session;
  };
  std::size_t next() const;

  std::vector<std::unique_ptr<RequestSource>> streams_;
  std::int64_t left_;
  std::uint64_t number_ = 0;
  std::unordered_map<std::uint64_t, Origin> in_service_;   ///< by number
};

}  // namespace orrery
