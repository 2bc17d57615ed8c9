// Id<Tag>: an integer id that cannot be mistaken for another kind of id. 0 means "none".
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace overwinter {

template <class Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(std::uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr bool valid() const { return value_ != 0; }
  friend constexpr auto operator<=>(const Id&, const Id&) = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace overwinter

template <class Tag>
struct std::hash<overwinter::Id<Tag>> {
  std::size_t operator()(const overwinter::Id<Tag>& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value());
  }
};
