/// Requests whose successors depend on them: conversations of several turns, and a fixed number of users who wait for
/// an answer before they go on.
///
///  - Sessions start by an arrival process, or `users` of them run at all times: when one ends its user thinks and
///    starts the next.
///  - A session has a drawn number of turns. Closed: turn k + 1 arrives a think time after turn k left the system.
///    Open: a think time after turn k arrived, whatever the system does.
///  - The prompt of a turn is the history (every earlier prompt and answer) plus the tokens drawn for this turn; the
///    segments say so. A session ends early when its history would pass max_total.
///
/// Draws are keyed by session and turn (by user and the user's n-th session in closed loops), never by the order of
/// service, so two policies see the same sessions. O(log) a request in the sessions alive.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "sim/base/distribution.hpp"
#include "sim/request.hpp"
#include "traces/arrival.hpp"
#include "traces/lengths.hpp"
#include "traces/prefix.hpp"

namespace orrery {

struct SessionRules {
  std::optional<Distribution> turns;   ///< none: one turn, and requests carry no session
  Distribution think;                  ///< seconds between the turns of a session
  bool closed = true;
  Distribution pause;                  ///< seconds between the sessions of a user (closed loop)
};

class SessionSource final : public RequestSource {
 public:
  /// Sessions that start by a process; ends after `requests` requests.
  SessionSource(std::int64_t requests, std::unique_ptr<ArrivalProcess> starts, SessionRules rules, Lengths lengths,
                DeclaredPrefixes prefixes, std::uint64_t seed);
  /// `users` sessions at all times, the first ones at time 0 plus a pause each.
  SessionSource(std::int64_t requests, std::int64_t users, SessionRules rules, Lengths lengths,
                DeclaredPrefixes prefixes, std::uint64_t seed);

  Time peek() const override;
  void pop(Request& out) override;
  void on_done(const Request& request, Time now) override;
  std::int64_t size_hint() const override { return requests_ - popped_; }

 private:
  struct Session {
    std::uint64_t entity = 0;          ///< key of all its draws
    std::uint32_t name = 0;            ///< Request::session
    std::int64_t user = -1;            ///< in closed loops
    std::uint32_t turn = 0, turns = 1;
    History history;
    Request next;                      ///< lengths of the turn to come, drawn ahead
  };
  struct Due {
    Time arrival;
    std::uint64_t order;               ///< same-instant order: as scheduled
    std::uint32_t slot;
    friend bool operator>(const Due& a, const Due& b) {
      return a.arrival != b.arrival ? a.arrival > b.arrival : a.order > b.order;
    }
  };

  void start(std::uint64_t entity, std::int64_t user, Time arrival);
  void schedule(std::uint32_t slot, Time arrival);
  /// Draws the lengths of the session's turn; false: it would not fit max_total, or there are no more turns.
  bool prepare(Session& s);
  /// After a turn: schedules the next one, or ends the session.
  void go_on(std::uint32_t slot, Time from);
  void end(std::uint32_t slot, Time now);
  std::uint64_t turn_entity(const Session& s) const;

  std::int64_t requests_, popped_ = 0;
  std::unique_ptr<ArrivalProcess> starts_;     ///< null in closed loops
  Time next_start_ = kNever;
  std::uint64_t started_ = 0;
  SessionRules rules_;
  Lengths lengths_;
  DeclaredPrefixes prefixes_;
  std::uint64_t seed_;
  std::vector<std::uint64_t> user_sessions_;   ///< sessions each user has begun
  std::vector<Session> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::uint64_t order_ = 0;
  std::unordered_map<std::uint64_t, std::uint32_t> in_service_;   ///< request number to slot
  std::vector<std::uint32_t> ended_;           ///< freed at the next call, as their segments were handed out
};

}  // namespace orrery
