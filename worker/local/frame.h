// A message of proto/overwinter/v1/local.proto on a stream of bytes: 4 bytes length
// (little-endian), then the message. No I/O here.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::worker {

inline constexpr std::size_t kFrameBytesMax = std::size_t{1} << 20;

// RESOURCE_EXHAUSTED when the message is larger than a frame may be; `out` is unchanged then.
Status append_frame(std::string& out, const google::protobuf::MessageLite& message);

// Cuts what arrives into messages. Holds at most one frame and what was appended last.
class FrameReader {
 public:
  void append(std::string_view bytes);
  // The next message's bytes, good until the next call of either; nothing until it is whole.
  // DATA_LOSS when its length is more than a frame may have: the stream is of no more use.
  [[nodiscard]] Result<std::optional<std::string_view>> next();

 private:
  std::string buffer_;
  std::size_t used_ = 0;  // bytes of buffer_ that were given out
};

}  // namespace overwinter::worker
