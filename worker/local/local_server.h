// LocalServer: the daemon's end of a job's Unix socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "overwinter/v1/local.pb.h"
#include "worker/local/frame.h"

namespace overwinter::worker {

// Who is at the other end, as the kernel says (SO_PEERCRED).
struct LocalPeer {
  pid_t pid = 0;
  uid_t uid = 0;
};

// One thread: its owner's, which polls descriptor() and calls process(). Nothing blocks. At most
// kConnectionsMax connections; a peer that sends what is no message, or does not read while more
// than kUnreadBytesMax wait for it, is closed.
class LocalServer {
 public:
  using Connection = std::uint64_t;  // never reused
  static constexpr std::size_t kConnectionsMax = 1024;
  static constexpr std::size_t kUnreadBytesMax = std::size_t{4} << 20;

  // Called from process(); may call send() and close().
  class Handler {
   public:
    virtual ~Handler() = default;
    // Whether this process may speak here at all. The uid was checked.
    [[nodiscard]] virtual bool admits(const LocalPeer& peer) = 0;
    virtual void received(Connection from, const LocalPeer& peer,
                          const v1::LocalRequest& message) = 0;
    // Once for each admitted connection that the other side (or an error) ended; not after close().
    virtual void closed(Connection from) = 0;
  };

  // Listens at `socket` (replaced when it is there; 0600, owned by `uid`): only processes of that
  // user are let in. The folder must be there. The handler outlives the server.
  [[nodiscard]] static Result<std::unique_ptr<LocalServer>> listen(
      const std::filesystem::path& socket, uid_t uid, Handler& handler);
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;
  ~LocalServer();  // removes the socket

  // For poll(): readable when process() has something to do.
  [[nodiscard]] int descriptor() const { return epoll_; }
  void process();
  // Dropped when the connection is gone.
  void send(Connection to, const v1::LocalResponse& message);
  // After what was sent is written, as far as the socket takes it at once.
  void close(Connection connection);

 private:
  struct Peer {
    int socket = -1;
    LocalPeer who;
    FrameReader reader;
    std::string outbox;
    bool broken = false;  // closed at the end of process()
  };

  LocalServer(std::filesystem::path path, uid_t uid, Handler& handler);
  void accept_all();
  void read(Connection connection, Peer& peer);
  void write(Connection connection, Peer& peer);
  void watch(Connection connection, Peer& peer, int operation) const;
  void remove_broken();

  const std::filesystem::path path_;
  const uid_t uid_;
  Handler& handler_;
  int epoll_ = -1;
  int listener_ = -1;
  Connection last_ = 0;
  std::map<Connection, Peer> peers_;
};

}  // namespace overwinter::worker
