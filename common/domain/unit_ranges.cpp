#include "common/domain/unit_ranges.h"

#include <algorithm>

namespace overwinter {

void UnitRanges::add(UnitRange range) {
  if (range.begin >= range.end) return;
  // First range that touches or follows: ends at or after our begin.
  auto first = std::lower_bound(ranges_.begin(), ranges_.end(), range.begin,
                                [](const UnitRange& r, UnitNumber b) { return r.end < b; });
  auto last = first;
  std::uint64_t swallowed = 0;
  while (last != ranges_.end() && last->begin <= range.end) {
    range.begin = std::min(range.begin, last->begin);
    range.end = std::max(range.end, last->end);
    swallowed += last->size();
    ++last;
  }
  count_ += range.size() - swallowed;
  if (first == last) {
    ranges_.insert(first, range);
  } else {
    *first = range;
    ranges_.erase(first + 1, last);
  }
}

void UnitRanges::add(const UnitRanges& other) {
  for (const UnitRange& range : other.ranges_) add(range);
}

void UnitRanges::remove(UnitRange range) {
  if (range.begin >= range.end) return;
  auto first = std::lower_bound(ranges_.begin(), ranges_.end(), range.begin,
                                [](const UnitRange& r, UnitNumber b) { return r.end <= b; });
  auto last = first;
  std::vector<UnitRange> rest;  // at most two pieces
  while (last != ranges_.end() && last->begin < range.end) {
    count_ -= last->size();
    if (last->begin < range.begin) rest.push_back({last->begin, range.begin});
    if (last->end > range.end) rest.push_back({range.end, last->end});
    ++last;
  }
  for (const UnitRange& piece : rest) count_ += piece.size();
  auto at = ranges_.erase(first, last);
  ranges_.insert(at, rest.begin(), rest.end());
}

void UnitRanges::remove(const UnitRanges& other) {
  for (const UnitRange& range : other.ranges_) remove(range);
}

bool UnitRanges::contains(UnitNumber unit) const {
  return contains(UnitRange{unit, unit + 1});
}

bool UnitRanges::contains(UnitRange range) const {
  if (range.begin >= range.end) return true;
  auto it = std::lower_bound(ranges_.begin(), ranges_.end(), range.begin,
                             [](const UnitRange& r, UnitNumber b) { return r.end <= b; });
  return it != ranges_.end() && it->begin <= range.begin && it->end >= range.end;
}

bool UnitRanges::intersects(UnitRange range) const {
  if (range.begin >= range.end) return false;
  auto it = std::lower_bound(ranges_.begin(), ranges_.end(), range.begin,
                             [](const UnitRange& r, UnitNumber b) { return r.end <= b; });
  return it != ranges_.end() && it->begin < range.end;
}

UnitRanges UnitRanges::intersection(const UnitRanges& other) const {
  UnitRanges out;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    out.add({std::max(a->begin, b->begin), std::min(a->end, b->end)});
    if (a->end < b->end) {
      ++a;
    } else {
      ++b;
    }
  }
  return out;
}

UnitRanges UnitRanges::complement(std::uint64_t total) const {
  UnitRanges out(UnitRange{0, total});
  out.remove(*this);
  return out;
}

UnitRanges UnitRanges::take_front(std::uint64_t count) {
  UnitRanges out;
  while (count > 0 && !ranges_.empty()) {
    const UnitRange front = ranges_.front();
    const UnitRange taken{front.begin, front.begin + std::min(count, front.size())};
    out.add(taken);
    count -= taken.size();
    remove(taken);
  }
  return out;
}

UnitRanges UnitRanges::take_back(std::uint64_t count) {
  UnitRanges out;
  while (count > 0 && !ranges_.empty()) {
    const UnitRange back = ranges_.back();
    const UnitRange taken{back.end - std::min(count, back.size()), back.end};
    out.add(taken);
    count -= taken.size();
    remove(taken);
  }
  return out;
}

}  // namespace overwinter
