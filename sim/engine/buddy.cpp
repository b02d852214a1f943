#include "sim/engine/buddy.hpp"

#include <algorithm>
#include <functional>

namespace orrery {

Buddy::Buddy(std::int64_t slots) : slots_(slots), free_(slots) {
  std::int64_t address = 0;
  for (int order = kOrders - 1; order >= 0; --order)
    if ((slots >> order) & 1) {
      insert(address, order);
      address += std::int64_t{1} << order;
    }
}

std::int64_t Buddy::alloc(int order) {
  int have = order;
  while (have < kOrders && runs_[have] == 0) ++have;
  if (have == kOrders) return kNone;
  const std::int64_t address = lists_[have].back();
  lists_[have].pop_back();
  --runs_[have];
  while (have > order) {  // keep the lower half, give back the upper one
    --have;
    insert(address + (std::int64_t{1} << have), have);
  }
  free_ -= std::int64_t{1} << order;
  return address;
}

void Buddy::free(std::int64_t address, int order) {
  free_ += std::int64_t{1} << order;
  // The buddy of a run of the decomposition would lie in the shorter runs behind it, so it is never free as a whole.
  while (order + 1 < kOrders && remove(address ^ (std::int64_t{1} << order), order)) {
    address &= ~(std::int64_t{1} << order);
    ++order;
  }
  insert(address, order);
}

std::int64_t Buddy::longest() const {
  for (int order = kOrders - 1; order >= 0; --order)
    if (runs_[order] > 0) return std::int64_t{1} << order;
  return 0;
}

void Buddy::insert(std::int64_t address, int order) {
  auto& list = lists_[order];
  list.insert(std::lower_bound(list.begin(), list.end(), address, std::greater<>()), address);
  ++runs_[order];
}

bool Buddy::remove(std::int64_t address, int order) {
  auto& list = lists_[order];
  const auto at = std::lower_bound(list.begin(), list.end(), address, std::greater<>());
  if (at == list.end() || *at != address) return false;
  list.erase(at);
  --runs_[order];
  return true;
}

}  // namespace orrery
