// The file operations of the artifact store, as an interface: the POSIX ones, and in tests a
// recording file system that loses what was not synced. Paths are absolute or relative to the
// working folder, '/' between parts.
//
// Errors everywhere: kNotFound (no such file), kAlreadyExists, kResourceExhausted (the disk or the
// descriptors are full; the sentence says which), kDataLoss (a sync or a write failed with an I/O
// error: what was not durable before may be gone, retrying proves nothing, the process ends and
// replays), else kInternal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::artifacts {

// Thread-safe as pread and pwrite are: disjoint ranges may be written at the same time.
class File {
 public:
  virtual ~File() = default;
  // Fills all of `out`; kOutOfRange when the file ends before that.
  [[nodiscard]] virtual Status read_at(std::uint64_t offset, std::span<std::byte> out) const = 0;
  [[nodiscard]] virtual Status write_at(std::uint64_t offset, std::span<const std::byte> data) = 0;
  // Makes the file at least this long and reserves the disk for it, so that later writes do not
  // meet a full one.
  [[nodiscard]] virtual Status allocate(std::uint64_t size_bytes) = 0;
  // Contents and length are durable when it returns.
  [[nodiscard]] virtual Status sync() = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size_bytes() const = 0;
  // The descriptor, owned by this object; -1 when it has none.
  [[nodiscard]] virtual int descriptor() const = 0;
};

enum class OpenMode : std::uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // must not exist; readable and writable by the owner alone
};

// Thread-safe.
class FilePort {
 public:
  virtual ~FilePort() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(const std::string& path,
                                                           OpenMode mode) = 0;
  // Replaces `to`. Durable after sync_folder of both folders.
  [[nodiscard]] virtual Status rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual Status remove(const std::string& path) = 0;
  // A folder that exists already is a success.
  [[nodiscard]] virtual Status make_folder(const std::string& path) = 0;
  // The folder must be empty.
  [[nodiscard]] virtual Status remove_folder(const std::string& path) = 0;
  // The names in a folder are durable when it returns.
  [[nodiscard]] virtual Status sync_folder(const std::string& path) = 0;
  // Names of files and folders in it, sorted.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& path) const = 0;
  // kNotFound when there is no such file.
  [[nodiscard]] virtual Result<std::uint64_t> file_size(const std::string& path) const = 0;
  // What an unprivileged program may still write on the disk of this folder.
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes(const std::string& path) const = 0;
};

// The machine's own files.
[[nodiscard]] FilePort& posix_files();

// True when the process must end: see kDataLoss above.
[[nodiscard]] inline bool is_fatal(const Status& status) {
  return status.code == Code::kDataLoss;
}

}  // namespace overwinter::artifacts
