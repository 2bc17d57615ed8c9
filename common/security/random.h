// Random bytes from the kernel, for keys, tokens and ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace overwinter {

// Fills `out` by getrandom(2). Ends the process when the kernel gives none: nothing may go on with
// a secret that can be guessed. Thread-safe.
void fill_random(std::span<std::uint8_t> out);

// `length` characters of 0-9 and a-z without the ones that are misread (i, l, o, u): 5 bits each,
// no bias.
[[nodiscard]] std::string random_id(std::size_t length);

}  // namespace overwinter
