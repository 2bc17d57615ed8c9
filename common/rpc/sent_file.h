// A file as the pieces of a stream whose first message has announced it.
#pragma once

#include <grpcpp/client_context.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/rpc/artifact_client.h"  // TransferProgress
#include "common/rpc/channel.h"

namespace overwinter {

// Read from the front. Not thread-safe.
class SentFile {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SentFile>> open(const std::filesystem::path& path);
  ~SentFile();
  SentFile(const SentFile&) = delete;
  SentFile& operator=(const SentFile&) = delete;

  // The next bytes, at least one. DATA_LOSS at the end: the file became shorter while it was sent.
  [[nodiscard]] Result<std::string> piece(std::size_t most);

 private:
  SentFile(std::filesystem::path path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}
  const std::filesystem::path path_;
  const int descriptor_;
};

// Sends `request`, which says what comes, then `size_bytes` of the file; how the call ended.
// `Writer` is the call's stream, `context` its context.
template <class Writer, class Request>
Status send_file(grpc::ClientContext& context, Writer& writer, Request& request, SentFile& file,
                 std::uint64_t size_bytes, const TransferProgress& progress,
                 const std::stop_token& stop) {
  // A refusal ends the stream early: its status says why.
  bool open = writer.Write(request);
  for (std::uint64_t done = 0; open && done < size_bytes;) {
    auto piece = file.piece(
        static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, size_bytes - done)));
    if (!piece) {
      context.TryCancel();
      (void)writer.Finish();
      return std::move(piece.error());
    }
    done += piece->size();
    request.set_data(std::move(*piece));
    open = writer.Write(request);
    if (open && progress) progress(done, size_bytes);
  }
  if (open) writer.WritesDone();
  return finished_transfer(writer.Finish(), stop);
}

struct FileContent {
  Digest digest;
  std::uint64_t size_bytes = 0;
};
// What a file is announced by. CANCELLED after a stop.
[[nodiscard]] Result<FileContent> read_content(const std::filesystem::path& path,
                                               const std::stop_token& stop = {});

}  // namespace overwinter
