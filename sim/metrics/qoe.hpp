/// Quality of experience of a reader, after Andes (Liu et al., arXiv 2404.16283): how closely the text comes as fast as
/// it is read. The reader expects token i, from 0, at e_i = ttft + i * tpot after asking. What comes early waits in the
/// client: token i is taken up at u_0 = t_0, u_i = max(t_i, u_{i-1} + tpot), and read until u_i + tpot. With n tokens,
/// all read by u_n = u_{n-1} + tpot, the text expected by then has the area S = n (2 u_n - 2 ttft - n tpot) / 2, and
///
///   v1   QoE = area of what was read / S = 1 - sum (u_i - e_i) / S, at most 1: tokens before their time make up for
///        late ones (first version of the paper, the curve's slope capped at the reading speed)
///   v2   QoE = 1 - sum max(u_i - e_i, 0) / S
///
/// u_i - e_i never falls, so a reader who ends in time has 1. A request that got no whole answer has 0.
/// A run of k tokens is added in closed form, O(log k) each member; state is 64 bytes a call. All sums are exact.
///
///   QoeMeter qoe({{.ttft = 1s, .tpot = 230ms}});  ...  row.qoe
#pragma once

#include <cstdint>
#include <vector>

#include "sim/metrics/observer.hpp"

namespace orrery {

struct QoeRule {
  Duration ttft{}, tpot{};       ///< tpot 0: no expectation, no QoE
  bool first_formula = false;    ///< v1
};

/// What one reader has got so far. Times are picoseconds since it asked.
class QoeTimeline {
 public:
  void token(Duration at, const QoeRule& rule);
  /// Tokens of a run, its first at `at`.
  void tokens(Duration at, const TokenRun& run, const QoeRule& rule);
  std::int64_t count() const { return count_; }
  double value(const QoeRule& rule) const;

 private:
  std::int64_t expected(const QoeRule& r) const { return to_ps(r.ttft) + (count_ - 1) * to_ps(r.tpot); }

  std::int64_t count_ = 0, taken_ = 0;   ///< tokens; when the last one was taken up
  Wide sum_ = 0, late_ = 0;              ///< of u_i - e_i; of those above 0
};

class QoeMeter final : public Observer {
 public:
  explicit QoeMeter(std::vector<QoeRule> by_class) : rules_(std::move(by_class)) {}
  bool watches() const { return !rules_.empty(); }
  void on_asked(CallId, const Call&, Tokens32 output) override;
  void on_anew(CallId, CallId) override;
  void on_token(CallId, const Call&, bool first, Time) override;
  void on_tokens(std::span<const CallId>, std::span<const CallRow>, const TokenRun&) override;
  void on_left(CallId, Row&) override;

 private:
  struct Reader {
    Time asked{};
    QoeTimeline timeline;
  };
  const QoeRule& rule(std::uint16_t request_class) const { return rules_[request_class]; }

  std::vector<QoeRule> rules_;
  std::vector<Reader> readers_;          ///< by slot
};

}  // namespace orrery
