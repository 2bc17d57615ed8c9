// LocalChannel: a rank's or an agent's end of the job's Unix socket.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "common/base/result.h"
#include "common/base/time.h"
#include "overwinter/v1/local.pb.h"
#include "worker/local/frame.h"

namespace overwinter::worker {

// Blocks where it says so. One thread at a time, but one may send while another receives.
class LocalChannel {
 public:
  // UNAVAILABLE when nobody listens there; INVALID_ARGUMENT for a path that is too long for a
  // socket.
  [[nodiscard]] static Result<LocalChannel> connect(const std::filesystem::path& socket);
  LocalChannel(LocalChannel&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), reader_(std::move(other.reader_)) {}
  LocalChannel& operator=(LocalChannel&&) = delete;
  ~LocalChannel();

  // Waits while the daemon does not read. UNAVAILABLE once the daemon is gone.
  Status send(const v1::LocalRequest& message);
  // The next message; nothing when none came `within` (absent: waits for one). UNAVAILABLE once the
  // daemon is gone, DATA_LOSS for what is no message.
  [[nodiscard]] Result<std::optional<v1::LocalResponse>> receive(
      std::optional<Duration> within = std::nullopt);
  // For poll(); readable when receive() may find something. Not owned by the caller.
  [[nodiscard]] int descriptor() const { return socket_; }

 private:
  explicit LocalChannel(int socket) : socket_(socket) {}

  int socket_;
  FrameReader reader_;
};

// Whether a Unix socket can have this path.
[[nodiscard]] bool socket_path_fits(const std::filesystem::path& socket);

}  // namespace overwinter::worker
