#include "worker/gpus/gpu_claim.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace overwinter::worker::gpus {

Result<GpuClaim> GpuClaim::take(const std::string& uuid) {
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return fail(Code::kInternal, fmt::format("no socket: {}", std::strerror(errno)));
  GpuClaim claim(socket);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A first byte of zero: a name that is no file.
  const std::string name = "overwinter-gpu-" + uuid;
  const std::size_t length = std::min(name.size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path + 1, name.data(), length);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0) return claim;
  if (errno == EADDRINUSE)
    return fail(Code::kAlreadyExists, "another worker of this machine offers " + uuid);
  return fail(Code::kInternal, fmt::format("cannot claim {}: {}", uuid, std::strerror(errno)));
}

GpuClaim::GpuClaim(GpuClaim&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

GpuClaim::~GpuClaim() {
  if (socket_ >= 0) ::close(socket_);
}

}  // namespace overwinter::worker::gpus
