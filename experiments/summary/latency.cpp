#include "experiments/summary/sections.hpp"

#include <algorithm>

namespace orrery::summary {
namespace {

Value quantiles(const Quantiles& q) {
  Value v = Value::object();
  if (q.count == 0) return v;  // no value: no number that looks like one
  v["mean"] = q.mean;
  v["p50"] = q.p50;
  v["p90"] = q.p90;
  v["p95"] = q.p95;
  v["p99"] = q.p99;
  v["max"] = q.max;
  return v;
}

/// The parts add up to mean_s. `alone_s`: of one such prompt in a step of its own; negative: not known.
Value first_token_parts(const SlowFirstTokens& slow, double alone_s) {
  Value v = Value::object();
  v["requests"] = slow.count;
  v["from_s"] = slow.low;
  v["to_s"] = slow.high;
  v["mean_s"] = slow.mean;
  v["retries_s"] = slow.retries;
  v["load_s"] = slow.load;
  v["queue_s"] = slow.queue;
  v["set_back_s"] = slow.set_back;
  if (alone_s < 0) {
    v["prefill_s"] = slow.prefill;
    return v;
  }
  const double alone = std::min(alone_s, slow.prefill);
  v["prefill_alone_s"] = alone;
  v["prefill_beside_others_s"] = slow.prefill - alone;
  return v;
}

}  // namespace

void add_latencies(Value& out, const Latencies& l, bool with_itl, double alone_s) {
  out["ttft_s"] = quantiles(l.ttft);
  out["tpot_s"] = quantiles(l.tpot);
  if (with_itl) out["itl_s"] = quantiles(l.itl);
  out["e2e_s"] = quantiles(l.e2e);
  out["queue_s"] = quantiles(l.queue);
  if (l.slow.count > 0) out["ttft_p99_parts"] = first_token_parts(l.slow, alone_s);
}

void add_experience(Value& out, const Experience& e) {
  if (e.count == 0) return;
  Value& v = out["qoe"];
  v["mean"] = e.mean;
  v["p10"] = e.p10;
  v["p50"] = e.p50;
  v["min"] = e.min;
}

}  // namespace orrery::summary
