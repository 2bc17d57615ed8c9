// Asking a coordinator on the same machine for a read-only descriptor of a blob, over its Unix
// socket:
//   → one SEQPACKET message   {"capability": "…", "digest": "…"}\n
//   ← one SEQPACKET message   {"ok": true, "rows": 3, "columns": 4, "dtype": "f4", "fortran_order":
//   false,
//                              "data_offset": 128} with the descriptor as SCM_RIGHTS
//                             {"ok": false, "message": "…"}
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::worker {

// A matrix in an open file. Owns the descriptor.
class MatrixFile {
 public:
  MatrixFile() = default;
  explicit MatrixFile(int descriptor) : descriptor_(descriptor) {}
  MatrixFile(MatrixFile&& other) noexcept;
  MatrixFile& operator=(MatrixFile&& other) noexcept;
  MatrixFile(const MatrixFile&) = delete;
  MatrixFile& operator=(const MatrixFile&) = delete;
  ~MatrixFile();

  [[nodiscard]] int descriptor() const { return descriptor_; }

  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::string dtype;  // f4, f8
  bool fortran_order = false;
  std::uint64_t data_offset = 0;

 private:
  int descriptor_ = -1;
};

// Blocks at most `within`. UNAVAILABLE when nobody listens there; the other side's refusal as
// PERMISSION_DENIED; DATA_LOSS when the answer makes no sense or the file is shorter than it says.
[[nodiscard]] Result<MatrixFile> ask_for_matrix(const std::string& socket_path,
                                                const std::string& capability,
                                                const std::string& digest, Duration within);

}  // namespace overwinter::worker
