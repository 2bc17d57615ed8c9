// ResultReader: a sealed result as the bytes of a .npy file, put together from its tiles with
// bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "coordinator/artifacts/file_port.h"
#include "coordinator/artifacts/result_spec.h"

namespace overwinter::artifacts {

enum class Order : std::uint8_t { kC = 1, kFortran = 2 };

// Not thread-safe; many readers may share a file. Stays valid when the job's result is removed.
class ResultReader {
 public:
  // `tiles` holds the tiles in unit order. Holds at most buffer_bytes_max, or one line (a row of C,
  // in Fortran order a column) where that is more.
  ResultReader(std::shared_ptr<const File> tiles, const ResultSpec& spec, Order order,
               std::uint64_t buffer_bytes_max = 16 * kMiB);

  // Of the whole .npy file.
  [[nodiscard]] std::uint64_t size_bytes() const { return header_.size() + spec_.data_bytes(); }
  [[nodiscard]] std::uint64_t bytes_left() const { return size_bytes() - at_; }
  // The next bytes; returns out.size(), or what is left. After an error only destroy it.
  [[nodiscard]] Result<std::size_t> next(std::span<std::byte> out);

 private:
  [[nodiscard]] Status load_band();
  [[nodiscard]] Status load_rows(std::uint64_t begin, std::uint64_t end);
  [[nodiscard]] Status load_columns(std::uint64_t begin, std::uint64_t end);

  std::shared_ptr<const File> tiles_;
  ResultSpec spec_;
  plan::TileGrid grid_;
  Order order_;
  std::uint64_t element_bytes_;
  std::uint64_t buffer_bytes_max_;
  std::string header_;
  std::uint64_t at_ = 0;           // bytes given out
  std::uint64_t band_begin_ = 0;   // where the band stands in the file
  std::vector<std::byte> band_;    // lines as given out
  std::vector<std::byte> pieces_;  // of a tile, as stored
};

}  // namespace overwinter::artifacts
