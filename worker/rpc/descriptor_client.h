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
#include <utility>

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
  std::string dtype;  // f4, f8, i1
  bool fortran_order = false;
  std::uint64_t data_offset = 0;

 private:
  int descriptor_ = -1;
};

// A question under way, so that several can be asked before the first answer is waited for.
class MatrixQuestion {
 public:
  // Asks; blocks at most `within`. UNAVAILABLE when nobody listens there.
  [[nodiscard]] static Result<MatrixQuestion> ask(const std::string& socket_path,
                                                  const std::string& capability,
                                                  const std::string& digest, Duration within);
  MatrixQuestion(MatrixQuestion&& other) noexcept
      : socket_path_(std::move(other.socket_path_)), socket_(std::exchange(other.socket_, -1)) {}
  MatrixQuestion& operator=(MatrixQuestion&&) = delete;
  ~MatrixQuestion();
  // Once; blocks at most `within`. Errors as those of ask_for_matrix().
  [[nodiscard]] Result<MatrixFile> answer();

 private:
  MatrixQuestion(std::string socket_path, int socket)
      : socket_path_(std::move(socket_path)), socket_(socket) {}
  std::string socket_path_;
  int socket_ = -1;
};

// Asks and waits; blocks at most `within`. UNAVAILABLE when nobody listens there; the other side's
// refusal as PERMISSION_DENIED; DATA_LOSS when the answer makes no sense or the file is shorter
// than it says.
[[nodiscard]] Result<MatrixFile> ask_for_matrix(const std::string& socket_path,
                                                const std::string& capability,
                                                const std::string& digest, Duration within);

}  // namespace overwinter::worker
