// Tables of numbers in comma-separated text: RFC 4180 as far as numbers need it. The first line
// names the columns; fields may stand in quotes (a quote inside is doubled), lines end with LF or
// CRLF, a byte order mark is skipped, empty lines at the end are. Every other field is one decimal
// number; decimal commas, units, empty fields and nan are refused with line and column.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker {

inline constexpr std::size_t kCsvColumnsMax = 65536;
inline constexpr std::size_t kCsvFieldBytesMax = 4096;

struct CsvShape {
  std::vector<std::string> columns;
  std::uint64_t rows = 0;
};

// Reads names and counts rows; then every number through `number(row, column, value)`. Nothing of
// the text is kept. INVALID_ARGUMENT, field workload.train.data.csv.path, with line and column.
[[nodiscard]] Result<CsvShape> csv_shape(std::string_view text);
[[nodiscard]] Status read_csv(
    std::string_view text, const CsvShape& shape,
    const std::function<void(std::uint64_t, std::size_t, double)>& number);

}  // namespace overwinter::worker
