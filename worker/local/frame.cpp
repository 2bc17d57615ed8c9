#include "worker/local/frame.h"

#include <fmt/core.h>

#include <cstdint>

namespace overwinter::worker {
namespace {

constexpr std::size_t kLengthBytes = 4;

}  // namespace

Status append_frame(std::string& out, const google::protobuf::MessageLite& message) {
  const std::size_t size = message.ByteSizeLong();
  if (size > kFrameBytesMax) {
    return error(
        Code::kResourceExhausted,
        fmt::format("a message of {} bytes is more than the {} of a frame", size, kFrameBytesMax));
  }
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    out.push_back(static_cast<char>((size >> (8 * i)) & 0xff));
  }
  message.AppendToString(&out);
  return Status::success();
}

void FrameReader::append(std::string_view bytes) {
  buffer_.erase(0, used_);
  used_ = 0;
  buffer_.append(bytes);
}

Result<std::optional<std::string_view>> FrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(used_);
  if (rest.size() < kLengthBytes) return std::nullopt;
  std::size_t size = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    size |= std::size_t{static_cast<std::uint8_t>(rest[i])} << (8 * i);
  }
  if (size > kFrameBytesMax) {
    return fail(Code::kDataLoss,
                fmt::format("a frame says it has {} bytes; {} are the most", size, kFrameBytesMax));
  }
  if (rest.size() - kLengthBytes < size) return std::nullopt;
  used_ += kLengthBytes + size;
  return rest.substr(kLengthBytes, size);
}

}  // namespace overwinter::worker
