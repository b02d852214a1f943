/// A slot names an entry of a table that reuses its places: index and generation, so a stale name is never mistaken
/// for the entry that took its place. Eight bytes, compared by value; the default names nothing.
#pragma once

#include <compare>
#include <cstdint>

namespace orrery {

template <class Tag>
struct Slot {
  static constexpr std::uint32_t kNone = 0xffffffffu;
  std::uint32_t index = kNone;
  std::uint32_t generation = 0;

  constexpr bool valid() const { return index != kNone; }
  friend constexpr auto operator<=>(Slot, Slot) = default;
};

/// A small dense number of one kind of entity (stations, groups, pools), never reused.
template <class Tag>
struct Id {
  static constexpr std::int32_t kNone = -1;
  std::int32_t index = kNone;

  constexpr bool valid() const { return index >= 0; }
  friend constexpr auto operator<=>(Id, Id) = default;
};

}  // namespace orrery
