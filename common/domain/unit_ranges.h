// UnitRanges: a set of unit numbers as sorted, disjoint, non-touching half-open ranges.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/domain/ids.h"

namespace overwinter {

struct UnitRange {
  UnitNumber begin = 0;
  UnitNumber end = 0;  // exclusive
  [[nodiscard]] std::uint64_t size() const { return end - begin; }
  friend bool operator==(const UnitRange&, const UnitRange&) = default;
};

// A value; not synchronised. add() and remove() cost O(log n + ranges touched).
class UnitRanges {
 public:
  UnitRanges() = default;
  explicit UnitRanges(UnitRange range) { add(range); }

  void add(UnitRange range);
  void add(const UnitRanges& other);
  void remove(UnitRange range);
  void remove(const UnitRanges& other);
  void clear() {
    ranges_.clear();
    count_ = 0;
  }

  [[nodiscard]] bool contains(UnitNumber unit) const;
  [[nodiscard]] bool contains(UnitRange range) const;
  [[nodiscard]] bool intersects(UnitRange range) const;
  [[nodiscard]] UnitRanges intersection(const UnitRanges& other) const;
  // Units of [0, total) that are not in this set.
  [[nodiscard]] UnitRanges complement(std::uint64_t total) const;
  // The lowest up-to-`count` units, removed from this set and returned (hand-out order is unit
  // order).
  [[nodiscard]] UnitRanges take_front(std::uint64_t count);
  [[nodiscard]] UnitRanges take_back(std::uint64_t count);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  [[nodiscard]] std::span<const UnitRange> ranges() const { return ranges_; }
  friend bool operator==(const UnitRanges&, const UnitRanges&) = default;

 private:
  std::vector<UnitRange> ranges_;
  std::uint64_t count_ = 0;
};

}  // namespace overwinter
