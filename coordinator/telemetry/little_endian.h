// Whole numbers in files: little-endian whatever the machine. Internal to the room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace overwinter::telemetry {

template <class T>
void put(std::string& out, T value) {
  const auto bits = static_cast<std::uint64_t>(value);
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>((bits >> (8 * i)) & 0xFF);
}

// The caller has checked that the bytes are there.
template <class T>
T get(std::string_view data, std::size_t at) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bits |= std::uint64_t{static_cast<unsigned char>(data[at + i])} << (8 * i);
  return static_cast<T>(bits);
}

}  // namespace overwinter::telemetry
