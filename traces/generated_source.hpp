/// Requests out of an arrival process and a length model, open loop: nothing depends on how they are served.
/// O(1) memory (plus the window of a prefix-reuse model).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "sim/request.hpp"
#include "traces/arrival.hpp"
#include "traces/lengths.hpp"
#include "traces/prefix.hpp"

namespace orrery {

class GeneratedSource final : public RequestSource {
 public:
  GeneratedSource(std::int64_t requests, std::unique_ptr<ArrivalProcess> arrivals, Lengths lengths,
                  DeclaredPrefixes prefixes, std::optional<PrefixReuse> reuse)
      : requests_(requests),
        arrivals_(std::move(arrivals)),
        lengths_(std::move(lengths)),
        prefixes_(std::move(prefixes)),
        reuse_(std::move(reuse)),
        arrival_(requests > 0 ? arrivals_->next() : kNever) {}

  Time peek() const override { return arrival_; }
  void pop(Request& out) override;
  bool wants_done() const override { return false; }
  std::int64_t size_hint() const override { return arrival_ == kNever ? 0 : requests_ - number_; }

 private:
  std::int64_t requests_, number_ = 0;
  std::unique_ptr<ArrivalProcess> arrivals_;
  Lengths lengths_;
  DeclaredPrefixes prefixes_;
  std::optional<PrefixReuse> reuse_;
  Time arrival_;
};

/// Puts a declared prefix in front of a generated prompt: it adds to the drawn length, and max_total holds for both.
void add_prefix(const Segment* prefix, const LengthRules& rules, Request& r);

}  // namespace orrery
