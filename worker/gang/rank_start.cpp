#include "worker/gang/rank_start.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace overwinter::worker {
namespace {

std::uint32_t number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

}  // namespace

Result<LocalChannel> rank_channel() {
  // Of several workers of a host each has its ranks' own socket.
  const std::string own =
      "OVERWINTER_GANG_SOCKET_" + std::to_string(number_of("OMPI_COMM_WORLD_RANK"));
  const char* socket = std::getenv(own.c_str());
  if (socket == nullptr) socket = std::getenv("OVERWINTER_GANG_SOCKET");
  if (socket == nullptr) {
    return fail(Code::kFailedPrecondition,
                "it is started by a worker's daemon, in a gang; not by hand");
  }
  return LocalChannel::connect(socket);
}

v1::RankHello rank_hello() {
  v1::RankHello hello;
  hello.set_rank(number_of("OMPI_COMM_WORLD_RANK"));
  hello.set_world_size(number_of("OMPI_COMM_WORLD_SIZE"));
  hello.set_local_rank(number_of("OMPI_COMM_WORLD_LOCAL_RANK"));
  hello.set_pid(::getpid());
  return hello;
}

}  // namespace overwinter::worker
