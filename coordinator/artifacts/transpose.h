// Transposing of element matrices by blocks. Internal to this room.
#pragma once

#include <cstddef>
#include <cstdint>

namespace overwinter::artifacts {

// in: `columns` columns of `rows` elements, column c at in + c * column_stride bytes. out: `rows`
// rows of `columns` elements, row r at out + r * row_stride bytes. element_bytes is 1, 2, 4 or 8.
// The ranges must not overlap. (Which side is called rows is the caller's: it transposes either
// way.)
void transpose(const std::byte* in, std::size_t column_stride, std::byte* out,
               std::size_t row_stride, std::size_t rows, std::size_t columns,
               std::size_t element_bytes);

}  // namespace overwinter::artifacts
