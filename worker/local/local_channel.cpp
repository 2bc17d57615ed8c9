#include "worker/local/local_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace overwinter::worker {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;

Status gone(const char* doing) {
  return error(Code::kUnavailable,
               std::string("the daemon is gone (") + doing + ": " + std::strerror(errno) + ")");
}

// Whether there is something to read before the deadline (absent: waits).
Result<bool> wait_readable(int socket, std::optional<Duration> within) {
  const auto end = std::chrono::steady_clock::now() + within.value_or(Duration(0));
  for (;;) {
    int timeout = -1;
    if (within) {
      const auto left = std::chrono::ceil<Duration>(end - std::chrono::steady_clock::now());
      timeout = static_cast<int>(std::max(Duration(0), std::min(left, Duration(60'000))).count());
    }
    pollfd wait{socket, POLLIN, 0};
    const int ready = ::poll(&wait, 1, timeout);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return fail(gone("poll"));
    if (within && std::chrono::steady_clock::now() >= end) return false;
  }
}

}  // namespace

bool socket_path_fits(const std::filesystem::path& socket) {
  return socket.native().size() < sizeof(sockaddr_un{}.sun_path);
}

Result<LocalChannel> LocalChannel::connect(const std::filesystem::path& socket) {
  if (!socket_path_fits(socket)) {
    return fail(Code::kInvalidArgument,
                "the path of the daemon's socket is too long: " + socket.string());
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  LocalChannel channel(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (channel.socket_ < 0) return fail(Code::kUnavailable, "no socket can be made");
  if (::connect(channel.socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return fail(Code::kUnavailable,
                "cannot reach the daemon at " + socket.string() + ": " + std::strerror(errno));
  }
  return channel;
}

LocalChannel::~LocalChannel() {
  if (socket_ >= 0) ::close(socket_);
}

Status LocalChannel::send(const v1::LocalRequest& message) {
  std::string bytes;
  if (Status framed = append_frame(bytes, message); !framed.ok()) return framed;
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return gone("send");
    sent += static_cast<std::size_t>(n);
  }
  return Status::success();
}

Result<std::optional<v1::LocalResponse>> LocalChannel::receive(std::optional<Duration> within) {
  for (;;) {
    const auto frame = reader_.next();
    if (!frame) return fail(frame.error());
    if (frame->has_value()) {
      v1::LocalResponse message;
      if (!message.ParseFromArray((*frame)->data(), static_cast<int>((*frame)->size()))) {
        return fail(Code::kDataLoss, "a frame of the daemon holds no message");
      }
      return message;
    }
    const auto readable = wait_readable(socket_, within);
    if (!readable) return fail(readable.error());
    if (!*readable) return std::nullopt;
    std::array<char, kReadBytes> buffer{};
    const ssize_t n = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      if (n == 0) errno = EPIPE;
      return fail(gone("receive"));
    }
    reader_.append({buffer.data(), static_cast<std::size_t>(n)});
  }
}

}  // namespace overwinter::worker
