// The release that a program belongs to. Programs one minor version apart work together (INTERFACE
// §4).
#pragma once

namespace overwinter {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace overwinter
