// Reading a matrix from a file that is open: mapped whole, or block by block.
#pragma once

#include <memory>

#include "worker/matmul/ports.h"
#include "worker/rpc/descriptor_client.h"

namespace overwinter::worker {

class MatrixReader {
 public:
  // Maps the file when `map`; a map that fails is no error: blocks are read then.
  MatrixReader(MatrixFile file, bool map);
  ~MatrixReader();
  MatrixReader(const MatrixReader&) = delete;
  MatrixReader& operator=(const MatrixReader&) = delete;

  [[nodiscard]] const MappedMatrix* mapped() const { return map_ == nullptr ? nullptr : &matrix_; }
  // As BlockSource::read. Thread-safe.
  Status read(const Block& block, std::span<std::byte> out) const;
  [[nodiscard]] static std::uint64_t element_bytes(const MatrixFile& file);
  [[nodiscard]] static std::uint64_t bytes(const MatrixFile& file);

 private:
  MatrixFile file_;
  std::uint64_t element_bytes_;
  void* map_ = nullptr;
  std::size_t map_bytes_ = 0;
  MappedMatrix matrix_;
};

}  // namespace overwinter::worker
