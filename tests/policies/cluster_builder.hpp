/// Hand-built pictures of a cluster, for tests that ask one cluster policy for one decision: instances with the load
/// that the test states, calls with the lengths that it states. Orders are noted, nothing is carried out.
///
///   ClusterPicture c;
///   c.pool("prompt", Role::kPrefill, 2).pool("token", Role::kDecode, 1);
///   c.load(0).prompt_tokens = Tokens{3000};
///   Placement p = Splitwise({}).route(c.arriving(1500), c, Rng(1, Purpose::kRouter, 0));
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sim/cluster.hpp"

namespace orrery {

class ClusterPicture final : public Cluster {
 public:
  /// `count` more instances; `blocks` of 16 tokens each.
  ClusterPicture& pool(const char* name, Role role, int count, std::int64_t blocks = 1000) {
    pools_.push_back({.name = name,
                      .first = StationId{static_cast<std::int32_t>(instances_.size())},
                      .count = count,
                      .role = role,
                      .kv_bytes_per_token = Bytes{1000},
                      .layers = 10});
    for (int i = 0; i < count; ++i) {
      KvState kv;
      kv.block_tokens = Tokens{16};
      kv.total = kv.free = Blocks{blocks};
      Instance x;
      x.station = StationId{static_cast<std::int32_t>(instances_.size())};
      x.pool = PoolId{static_cast<std::int32_t>(pools_.size()) - 1};
      x.role = role;
      x.load = &loads_.emplace_back();
      instances_.push_back(x);
      kvs_.push_back(kv);
      waiting_.emplace_back();
      decoding_.emplace_back();
    }
    return *this;
  }
  StationLoad& load(int station) { return loads_[static_cast<std::size_t>(station)]; }
  Instance& at(int station) { return instances_[static_cast<std::size_t>(station)]; }
  KvState& kv_of(int station) { return kvs_[static_cast<std::size_t>(station)]; }
  CallId arriving(int prompt, int predicted_low = 0, int predicted_high = 0) {
    Call c;
    c.number = calls_.size();
    c.prompt = Tokens32{prompt};
    c.max_tokens = Tokens32{1000};
    c.predicted_low = Tokens32{predicted_low};
    c.predicted_high = Tokens32{predicted_high};
    calls_.push_back(c);
    return CallId{static_cast<std::uint32_t>(calls_.size() - 1)};
  }
  CallId waits(int station, int prompt) {
    const CallId id = arriving(prompt);
    waiting_[static_cast<std::size_t>(station)].push_back(id);
    return id;
  }
  CallId decodes(int station, int prompt, int emitted, int predicted_low = 0, int predicted_high = 0) {
    const CallId id = arriving(prompt, predicted_low, predicted_high);
    decoding_[static_cast<std::size_t>(station)].push_back(id);
    emitted_[id.index] = Tokens{emitted};
    return id;
  }
  Role role(int station) const { return instances_[static_cast<std::size_t>(station)].role; }
  void set_now(Time now) { now_ = now; }
  std::vector<std::string> orders;   ///< "drain 3"

  Time now() const override { return now_; }
  std::span<const Pool> pools() const override { return pools_; }
  std::span<const Instance> instances() const override { return instances_; }
  KvState kv(StationId s) const override { return kvs_[index(s)]; }
  std::int32_t running(StationId s) const override { return static_cast<std::int32_t>(decoding_[index(s)].size()); }
  std::span<const CallId> waiting(StationId s) const override { return waiting_[index(s)]; }
  std::span<const CallId> decoding(StationId s) const override { return decoding_[index(s)]; }
  const Call& call(CallId id) const override { return calls_[id.index]; }
  Tokens context(CallId id) const override { return Tokens{calls_[id.index].prompt} + emitted(id); }
  Tokens emitted(CallId id) const override {
    const auto found = emitted_.find(id.index);
    return found == emitted_.end() ? Tokens{} : found->second;
  }
  bool moving(CallId) const override { return false; }
  bool migrate(CallId, StationId to, Move) override { return note("migrate", to); }
  void set_role(StationId s, Role role) override { instances_[index(s)].role = role; }
  void start(StationId s, Duration, Phase) override { note("start", s); }
  void drain(StationId s) override { note("drain", s); }
  void undrain(StationId s) override { note("undrain", s); }
  void stop(StationId s, Move) override { note("stop", s); }
  void wake(Time) override {}

 private:
  static std::size_t index(StationId s) { return static_cast<std::size_t>(s.index); }
  bool note(const std::string& what, StationId s) {
    orders.push_back(what + " " + std::to_string(s.index));
    return true;
  }

  Time now_{};
  std::vector<Pool> pools_;
  std::vector<Instance> instances_;
  std::deque<StationLoad> loads_;
  std::vector<KvState> kvs_;
  std::vector<std::vector<CallId>> waiting_, decoding_;
  std::vector<Call> calls_;
  std::map<std::uint32_t, Tokens> emitted_;
};

}  // namespace orrery
