#include "worker/local/local_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "worker/local/local_channel.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;
constexpr int kReadsAtOnce = 16;  // of one connection, so that none starves the others
constexpr std::uint64_t kListener = 0;

Status cannot(const std::filesystem::path& path, const char* what) {
  return error(Code::kInternal, "cannot " + std::string(what) + " the socket " + path.string() +
                                    ": " + std::strerror(errno));
}

}  // namespace

LocalServer::LocalServer(std::filesystem::path path, uid_t uid, Handler& handler)
    : path_(std::move(path)), uid_(uid), handler_(handler) {}

Result<std::unique_ptr<LocalServer>> LocalServer::listen(const std::filesystem::path& socket,
                                                         uid_t uid, Handler& handler) {
  if (!socket_path_fits(socket)) {
    return fail(Code::kInvalidArgument,
                "the path of a job's socket is too long: " + socket.string());
  }
  std::unique_ptr<LocalServer> server(new LocalServer(socket, uid, handler));
  server->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  server->listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (server->epoll_ < 0 || server->listener_ < 0) return fail(cannot(socket, "make"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  if (::unlink(socket.c_str()) != 0 && errno != ENOENT) return fail(cannot(socket, "replace"));
  if (::bind(server->listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(cannot(socket, "bind"));
  }
  // Nobody can connect before listen(): owner and mode are right by then.
  if (::chmod(socket.c_str(), 0600) != 0) return fail(cannot(socket, "close"));
  if (uid != ::geteuid() && ::chown(socket.c_str(), uid, static_cast<gid_t>(-1)) != 0) {
    return fail(cannot(socket, "give away"));
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListener;
  if (::listen(server->listener_, SOMAXCONN) != 0 ||
      ::epoll_ctl(server->epoll_, EPOLL_CTL_ADD, server->listener_, &event) != 0) {
    return fail(cannot(socket, "listen at"));
  }
  return server;
}

LocalServer::~LocalServer() {
  for (auto& [connection, peer] : peers_) ::close(peer.socket);
  if (listener_ >= 0) {
    ::close(listener_);
    ::unlink(path_.c_str());
  }
  if (epoll_ >= 0) ::close(epoll_);
}

void LocalServer::process() {
  std::array<epoll_event, 64> events{};
  const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 == kListener) {
      accept_all();
      continue;
    }
    const auto found = peers_.find(event.data.u64);
    if (found == peers_.end() || found->second.broken) continue;
    if ((event.events & EPOLLOUT) != 0) write(found->first, found->second);
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(found->first, found->second);
  }
  remove_broken();
}

void LocalServer::accept_all() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) return;
    ucred credentials{};
    socklen_t size = sizeof credentials;
    const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
    const LocalPeer who{credentials.pid, credentials.uid};
    if (!known || who.uid != uid_ || peers_.size() >= kConnectionsMax || !handler_.admits(who)) {
      log_warning("a process (pid {}, uid {}) was turned away at {}", who.pid, who.uid,
                  path_.string());
      ::close(socket);
      continue;
    }
    const Connection connection = ++last_;
    Peer& peer = peers_[connection];
    peer.socket = socket;
    peer.who = who;
    watch(connection, peer, EPOLL_CTL_ADD);
  }
}

void LocalServer::watch(Connection connection, Peer& peer, int operation) const {
  epoll_event event{};
  event.events = EPOLLIN | (peer.outbox.empty() ? 0U : EPOLLOUT);
  event.data.u64 = connection;
  if (::epoll_ctl(epoll_, operation, peer.socket, &event) != 0) peer.broken = true;
}

void LocalServer::read(Connection connection, Peer& peer) {
  for (int i = 0; i < kReadsAtOnce && !peer.broken; ++i) {
    std::array<char, kReadBytes> buffer{};
    const ssize_t n = ::recv(peer.socket, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      peer.broken = true;
      return;
    }
    peer.reader.append({buffer.data(), static_cast<std::size_t>(n)});
    while (!peer.broken) {
      const auto frame = peer.reader.next();
      if (frame && !frame->has_value()) break;
      v1::LocalRequest message;
      if (!frame || !message.ParseFromArray((*frame)->data(), static_cast<int>((*frame)->size())) ||
          message.message_case() == v1::LocalRequest::MESSAGE_NOT_SET) {
        log_warning("pid {} sent what is no message to {}", peer.who.pid, path_.string());
        peer.broken = true;
        break;
      }
      handler_.received(connection, peer.who, message);
    }
  }
}

void LocalServer::send(Connection to, const v1::LocalResponse& message) {
  const auto found = peers_.find(to);
  if (found == peers_.end() || found->second.broken) return;
  Peer& peer = found->second;
  if (Status framed = append_frame(peer.outbox, message); !framed.ok()) {
    log_error("a message to a rank was dropped: {}", framed.message);
    return;
  }
  write(to, peer);
  if (peer.outbox.size() > kUnreadBytesMax) {
    // The owner learns of it in its next process(): the socket reads as ended.
    log_warning("pid {} does not read what it is sent; its connection ends", peer.who.pid);
    ::shutdown(peer.socket, SHUT_RDWR);
    peer.outbox.clear();
  }
}

void LocalServer::write(Connection connection, Peer& peer) {
  std::size_t sent = 0;
  while (sent < peer.outbox.size()) {
    const ssize_t n = ::send(peer.socket, peer.outbox.data() + sent, peer.outbox.size() - sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // full, or gone: then reading says so
    sent += static_cast<std::size_t>(n);
  }
  peer.outbox.erase(0, sent);
  watch(connection, peer, EPOLL_CTL_MOD);
}

void LocalServer::close(Connection connection) {
  const auto found = peers_.find(connection);
  if (found == peers_.end() || found->second.broken) return;
  write(connection, found->second);
  // Not erased here: the caller may stand inside received() of this very peer.
  found->second.broken = true;
  ::close(std::exchange(found->second.socket, -1));
}

void LocalServer::remove_broken() {
  std::vector<Connection> ended;
  for (auto it = peers_.begin(); it != peers_.end();) {
    if (!it->second.broken) {
      ++it;
      continue;
    }
    if (it->second.socket >= 0) {
      ::close(it->second.socket);
      ended.push_back(it->first);
    }
    it = peers_.erase(it);
  }
  for (const Connection connection : ended) handler_.closed(connection);
}

}  // namespace overwinter::worker
