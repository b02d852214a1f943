/// Which leading tokens a prompt shares with others, as segments (sim/request.hpp): equal keys in equal places mean
/// equal tokens.
///
///  - Declared prefixes: a share of the requests starts with one of a few fixed texts (system prompts).
///  - History: the turns of a session. Turn k's prompt is [prefix] p0 o0 p1 o1 ... pk, where pi are the tokens the user
///    added in turn i and oi the answer to it; `Request::output_key` is the key of oi as a segment.
///  - Reuse: the fitted structure of a trace with block ids (ReuseModel): request n continues an earlier one.
///
///   History h(session_key);
///   h.ask(1200);  request.output_key = h.answer(150);  request.segments = h.segments();   // of the 1200 prompt tokens
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/request.hpp"
#include "traces/workload_model.hpp"

namespace orrery {

struct DeclaredPrefix { std::int64_t tokens; double share; };

class DeclaredPrefixes {
 public:
  DeclaredPrefixes() = default;
  DeclaredPrefixes(std::vector<DeclaredPrefix> list, std::uint64_t seed);
  bool empty() const { return list_.empty(); }
  /// The prefix of this entity (request or session), or null.
  const Segment* of(std::uint64_t entity) const;
  double mean_tokens() const;

 private:
  std::vector<DeclaredPrefix> list_;
  std::vector<Segment> segments_;
  std::uint64_t seed_ = 0;
};

/// What one session has said so far. O(1) a turn; two segments a turn are kept.
class History {
 public:
  History() = default;
  explicit History(std::uint64_t key) : key_(key) {}
  std::int64_t tokens() const { return tokens_; }
  std::uint32_t turns() const { return turns_; }     ///< asked so far
  /// A declared prefix in front; only before the first ask.
  void start_with(const Segment& prefix);
  /// The user adds tokens: segments() is then the prompt of this turn.
  void ask(std::int64_t new_tokens);
  /// The prompt of this turn is `prompt_tokens` in all; forgets what was said if it is shorter than the history.
  void ask_in_all(std::int64_t prompt_tokens);
  /// The answer to it; returns its key.
  std::uint64_t answer(std::int64_t output_tokens);
  /// Of the prompt last asked, without its answer; valid until the next ask or answer.
  std::span<const Segment> segments() const { return {segments_.data(), prompt_segments_}; }

 private:
  std::uint64_t key_ = 0;
  std::uint32_t pieces_ = 0, turns_ = 0;
  std::int64_t tokens_ = 0;
  std::size_t prompt_segments_ = 0;
  std::vector<Segment> segments_;
};

/// Draws the segments of request n from a ReuseModel. Requests must be asked for in order; memory is one entry for each
/// of the last `age` requests (the model's longest), O(blocks) a request.
class PrefixReuse {
 public:
  PrefixReuse(ReuseModel model, QuantileGrid prompt, std::uint64_t seed);
  /// Valid until the next call.
  std::span<const Segment> segments(std::uint64_t n, std::int64_t prompt_tokens);

 private:
  /// Blocks [end of the run before, end) first appeared in request `owner`.
  struct Run { std::uint64_t owner; std::int32_t end; };
  const std::vector<Run>& entry(std::uint64_t n) const { return ring_[n % ring_.size()]; }
  /// An earlier request with at least `blocks` full blocks, near `age` requests ago; false if there is none near.
  bool find_parent(std::uint64_t n, std::uint64_t age, std::int32_t blocks, std::uint64_t& parent) const;

  ReuseModel model_;
  QuantileGrid prompt_;
  std::uint64_t seed_;
  std::vector<std::vector<Run>> ring_;
  std::vector<std::int32_t> full_blocks_;   ///< of each entry
  std::vector<Segment> segments_;
};

}  // namespace orrery
