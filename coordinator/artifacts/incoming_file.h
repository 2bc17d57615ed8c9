// IncomingFile: content that arrives in pieces and was announced by size and digest. Internal to
// this room.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/formats/digest.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

// Not thread-safe. The file is removed with the object unless it was published. `files` outlives
// it.
class IncomingFile {
 public:
  // Makes the file, which must not exist, and reserves its disk.
  [[nodiscard]] static Result<std::unique_ptr<IncomingFile>> create(FilePort& files,
                                                                    std::string path,
                                                                    std::uint64_t size_bytes,
                                                                    const Digest& digest);
  IncomingFile(const IncomingFile&) = delete;
  IncomingFile& operator=(const IncomingFile&) = delete;
  ~IncomingFile();

  // The next bytes. kInvalidArgument above 1 MiB at once or beyond what was announced, after which
  // it may go on; after an error of the disk it may not.
  [[nodiscard]] Status write(std::span<const std::byte> data);
  // Checks size and digest and syncs the content. Call once. kInvalidArgument when it is not what
  // was announced.
  [[nodiscard]] Status finish();
  // After finish(): gives the file its name. Durable after a sync of its folder.
  [[nodiscard]] Status publish(const std::string& path);

 private:
  IncomingFile(FilePort& files, std::string path, std::uint64_t size_bytes, const Digest& digest)
      : files_(files), path_(std::move(path)), size_bytes_(size_bytes), digest_(digest) {}

  FilePort& files_;
  const std::string path_;
  const std::uint64_t size_bytes_;
  const Digest digest_;
  std::unique_ptr<File> file_;
  formats::BlobDigester digester_;
  std::uint64_t received_ = 0;
  bool published_ = false;
};

}  // namespace overwinter::artifacts
