/// A request as a trace or generator states it: the input of a run. `output_tokens` is the truth that only the engine
/// and a length predictor see; policies see a Call (call.hpp), which has no such field.
///
///   while (source.peek() != kNever) { source.pop(request); ... }
#pragma once

#include <cstdint>
#include <span>

#include "sim/base/units.hpp"

namespace orrery {

/// A stretch of a prompt with an identity: equal keys mean equal tokens, so their KV can be shared. A prompt is its
/// segments in order, then `prompt_tokens` minus their sum of tokens that no other request has.
struct Segment {
  std::uint64_t key;   ///< identity of the segment given everything before it
  Tokens32 tokens;
};

struct Request {
  std::uint64_t number = 0;        ///< ordinal in the source, from 0; the identity in rows, draws and fingerprints
  Time arrival{};
  Tokens32 prompt_tokens, output_tokens;
  Tokens32 max_tokens;             ///< what the client asks for at most; >= output_tokens
  std::uint32_t session = 0;       ///< 0: none
  std::uint32_t turn = 0;          ///< from 0 within its session
  std::uint16_t tenant = 0, request_class = 0, model = 0;
  std::int16_t priority = 0;       ///< lower is more urgent
  Time deadline = kNever;
  Duration cancel_after = Duration::max();     ///< after arrival; max: never
  std::span<const Segment> segments;           ///< of the prompt; owned by the source, valid until its next call
  /// Identity of prompt + output for the next turn's prompt; 0 when nothing can extend it.
  std::uint64_t output_key = 0;
};

/// How the clients of a class behave when their answer is late or refused (/classes: timeout, retry). An attempt that
/// takes longer than the timeout is given up; after that, or when the service refused it, the client tries again: the
/// same request, as a new call at the end of the queue.
struct ClientRule {
  Duration timeout = Duration::max();   ///< of one attempt, from its arrival to its last token; max: none
  int retries = 0;                      ///< attempts after the first
  Duration backoff{};                   ///< wait before the second; doubles with each further one, up to a day

  Duration wait_before(int attempt) const {   ///< attempt: 2 for the second
    Duration wait = backoff;
    for (int i = 2; i < attempt && wait < 24h; ++i) wait *= 2;
    return wait < 24h ? wait : Duration{24h};
  }
};

/// Where requests come from: in order of arrival, one at a time, so memory does not grow with their number. Requests
/// with equal arrival come in order of number. Called from one thread.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  /// Arrival of the earliest request known now; kNever: none (a closed-loop source may learn of more in on_done).
  virtual Time peek() const = 0;
  /// Takes that request. Only after a peek() before kNever.
  virtual void pop(Request& out) = 0;
  /// The request left the system (done, rejected, failed or cancelled) at `now`; a closed-loop source may schedule its
  /// successor, arriving at `now` or later.
  virtual void on_done(const Request& /*what was popped*/, Time /*now*/) {}
  /// Does on_done matter to this source? False for open-loop ones: the engine then spares itself the call.
  virtual bool wants_done() const { return true; }
  /// Requests still to come, if the source knows; -1 if not. For progress.
  virtual std::int64_t size_hint() const { return -1; }
};

}  // namespace orrery
