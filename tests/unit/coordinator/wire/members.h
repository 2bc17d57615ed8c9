// The members of a plain struct as a tuple of references: a field that is added to a fact is
// compared by the tests without anybody thinking of it. Up to 12 members.
#pragma once

#include <cstddef>
#include <tuple>

namespace overwinter::test {

template <class T>
constexpr std::size_t member_count() {
  // clang-format off
  if constexpr (requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{}}; }) return 13;  // too many
  else if constexpr (requires { T{{},{},{},{},{},{},{},{},{},{},{},{}}; }) return 12;
  else if constexpr (requires { T{{},{},{},{},{},{},{},{},{},{},{}}; }) return 11;
  else if constexpr (requires { T{{},{},{},{},{},{},{},{},{},{}}; }) return 10;
  else if constexpr (requires { T{{},{},{},{},{},{},{},{},{}}; }) return 9;
  else if constexpr (requires { T{{},{},{},{},{},{},{},{}}; }) return 8;
  else if constexpr (requires { T{{},{},{},{},{},{},{}}; }) return 7;
  else if constexpr (requires { T{{},{},{},{},{},{}}; }) return 6;
  else if constexpr (requires { T{{},{},{},{},{}}; }) return 5;
  else if constexpr (requires { T{{},{},{},{}}; }) return 4;
  else if constexpr (requires { T{{},{},{}}; }) return 3;
  else if constexpr (requires { T{{},{}}; }) return 2;
  else return 1;
  // clang-format on
}

template <class T>
auto members(const T& value) {
  constexpr std::size_t kCount = member_count<T>();
  static_assert(kCount <= 12, "add a line");
  // clang-format off
  if constexpr (kCount == 1) { const auto& [a] = value; return std::tie(a); }
  else if constexpr (kCount == 2) { const auto& [a,b] = value; return std::tie(a,b); }
  else if constexpr (kCount == 3) { const auto& [a,b,c] = value; return std::tie(a,b,c); }
  else if constexpr (kCount == 4) { const auto& [a,b,c,d] = value; return std::tie(a,b,c,d); }
  else if constexpr (kCount == 5) { const auto& [a,b,c,d,e] = value; return std::tie(a,b,c,d,e); }
  else if constexpr (kCount == 6) { const auto& [a,b,c,d,e,f] = value; return std::tie(a,b,c,d,e,f); }
  else if constexpr (kCount == 7) { const auto& [a,b,c,d,e,f,g] = value; return std::tie(a,b,c,d,e,f,g); }
  else if constexpr (kCount == 8) { const auto& [a,b,c,d,e,f,g,h] = value; return std::tie(a,b,c,d,e,f,g,h); }
  else if constexpr (kCount == 9) { const auto& [a,b,c,d,e,f,g,h,i] = value; return std::tie(a,b,c,d,e,f,g,h,i); }
  else if constexpr (kCount == 10) { const auto& [a,b,c,d,e,f,g,h,i,j] = value; return std::tie(a,b,c,d,e,f,g,h,i,j); }
  else if constexpr (kCount == 11) { const auto& [a,b,c,d,e,f,g,h,i,j,k] = value; return std::tie(a,b,c,d,e,f,g,h,i,j,k); }
  else { const auto& [a,b,c,d,e,f,g,h,i,j,k,l] = value; return std::tie(a,b,c,d,e,f,g,h,i,j,k,l); }
  // clang-format on
}

}  // namespace overwinter::test
