#include "coordinator/rpc/connection_guard.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/log.h"

namespace overwinter::rpc {
namespace {

using std::chrono::steady_clock;

constexpr int kBacklog = 1024;
// Of tcp_info's state; the kernel's header with the newer fields has no names for them.
constexpr std::uint8_t kEstablished = 1;
constexpr std::uint8_t kCloseWait = 8;
constexpr std::chrono::milliseconds kLookEvery{100};
constexpr std::chrono::milliseconds kLookAtKnownEvery{500};
constexpr std::chrono::minutes kWarnEvery{1};
constexpr unsigned kUnacknowledgedMs = 10'000;
constexpr int kTakenAtOnce = 64;  // before others are looked at

struct Resolved {
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list{nullptr, &::freeaddrinfo};
};

Resolved resolve(const std::string& address) {
  Resolved out;
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return out;
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                   address.substr(colon + 1).c_str(), &hints, &found);
  if (failed == 0) out.list.reset(found);
  return out;
}

int listen_on(const addrinfo& where) {
  const int fd = ::socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // As gRPC's own listeners have both, and who is taken inherits them: small messages leave at
  // once, and a peer that acknowledges nothing is given up as the keepalive would.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs, sizeof kUnacknowledgedMs);
  if (where.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd, where.ai_addr, where.ai_addrlen) == 0 && ::listen(fd, kBacklog) == 0) return fd;
  ::close(fd);
  return -1;
}

// Of the two families alone that a listener can have.
struct Named {
  std::string peer;     // "ipv4:10.0.0.7:4711"
  std::string address;  // "10.0.0.7"
};
Named name_of(const sockaddr_storage& from) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (from.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &from, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {std::string("ipv4:") + text.data() + ":" + std::to_string(ntohs(v4.sin_port)),
            text.data()};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &from, sizeof v6);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    in_addr inner{};
    std::memcpy(&inner, &v6.sin6_addr.s6_addr[12], sizeof inner);
    ::inet_ntop(AF_INET, &inner, text.data(), text.size());
    return {std::string("ipv4:") + text.data() + ":" + std::to_string(ntohs(v6.sin6_port)),
            text.data()};
  }
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  return {std::string("ipv6:%5B") + text.data() + "%5D:" + std::to_string(ntohs(v6.sin6_port)),
          text.data()};
}

}  // namespace

Result<std::unique_ptr<ConnectionGuard>> ConnectionGuard::listen(const std::string& address,
                                                                 const GuardLimits& limits,
                                                                 std::string name) {
  const Resolved where = resolve(address);
  const int fd = where.list ? listen_on(*where.list) : -1;
  if (fd < 0) {
    return fail(Code::kFailedPrecondition, "the address " + address + " cannot be listened on", {},
                "is another coordinator running there?");
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  sockaddr_in v4{};
  std::memcpy(&v4, &bound, sizeof v4);  // the port lies at the same place in both families
  return std::unique_ptr<ConnectionGuard>(
      new ConnectionGuard(fd, ntohs(v4.sin_port), limits, std::move(name)));
}

ConnectionGuard::ConnectionGuard(int listener, int port, const GuardLimits& limits,
                                 std::string name)
    : listener_(listener),
      port_(port),
      limits_(limits),
      name_(std::move(name)),
      admission_(limits.admission) {}

ConnectionGuard::~ConnectionGuard() {
  stop();
  ::close(listener_);
  const MutexLock lock(mutex_);
  for (const auto& [id, open] : open_) ::close(open.fd);
}

void ConnectionGuard::start(HandOver hand_over) {
  hand_over_ = std::move(hand_over);
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ConnectionGuard::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  ::shutdown(listener_, SHUT_RDWR);  // wakes it
  thread_.join();
}

void ConnectionGuard::run(const std::stop_token& stop) {
  auto look_at = steady_clock::now();
  auto look_at_known = look_at;
  while (!stop.stop_requested()) {
    pollfd wait{listener_, POLLIN, 0};
    const auto pause = has_unknown_ ? kLookEvery : kLookAtKnownEvery;
    ::poll(&wait, 1, static_cast<int>(pause.count()));
    if (stop.stop_requested()) return;
    if ((wait.revents & POLLIN) != 0) take_all();
    const auto now = steady_clock::now();
    if (now < look_at) continue;
    const bool known = now >= look_at_known;
    look_at_all(known);
    look_at = now + kLookEvery;
    if (known) look_at_known = now + kLookAtKnownEvery;
  }
}

void ConnectionGuard::take_all() {
  for (int i = 0; i < kTakenAtOnce; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const int fd = ::accept4(listener_, reinterpret_cast<sockaddr*>(&from), &size,
                             SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) return no_descriptor();
    if (fd < 0) return;
    Named named = name_of(from);
    take(fd, std::move(named.peer), named.address);
  }
}

// Somebody else in this process took what the bounds of the ports leave; poll() would spin.
void ConnectionGuard::no_descriptor() {
  const auto now = steady_clock::now();
  if (!warned_at_ || now - *warned_at_ >= kWarnEvery) {
    log_warning("{} port: no descriptor is left", name_);
    warned_at_ = now;
  }
  look_at_all(true);
  ::poll(nullptr, 0, static_cast<int>(kLookEvery.count()));
}

void ConnectionGuard::take(int fd, std::string peer, const std::string& address) {
  const auto entry = admission_.enter(address);
  if (!entry) {
    ::close(fd);
    return;
  }
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  {
    const MutexLock lock(mutex_);
    if (entry->displaced) end(*entry->displaced);
    if (own >= 0) {
      of_peer_[peer] = entry->id;
      open_[entry->id] = {own, std::move(peer), steady_clock::now(), false, false};
    }
  }
  if (own < 0) {
    admission_.leave(entry->id);
    ::close(fd);
    return;
  }
  has_unknown_ = true;
  hand_over_(listener_, fd);
}

void ConnectionGuard::look_at_all(bool known) {
  const auto now = steady_clock::now();
  const Duration time =
      admission_.crowded() ? limits_.unauthenticated_in_a_crowd : limits_.unauthenticated_for;
  has_unknown_ = false;
  const MutexLock lock(mutex_);
  for (auto it = open_.begin(); it != open_.end();) {
    Open& open = it->second;
    if ((open.authenticated && !known) || !look_at(open, now, time)) {
      has_unknown_ = has_unknown_ || !open.authenticated;
      ++it;
      continue;
    }
    forget((it++)->first);
  }
}

void ConnectionGuard::end(runtime::Admission::Id id) {
  const auto at = open_.find(id);
  if (at == open_.end()) return;
  ::shutdown(at->second.fd, SHUT_RDWR);
  forget(id);
}

void ConnectionGuard::forget(runtime::Admission::Id id) {
  const auto at = open_.find(id);
  ::close(at->second.fd);
  const auto newest = of_peer_.find(at->second.peer);
  if (newest != of_peer_.end() && newest->second == id) of_peer_.erase(newest);
  open_.erase(at);
  admission_.leave(id);
}

bool ConnectionGuard::look_at(Open& open, steady_clock::time_point now,
                              Duration unauthenticated_for) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(open.fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
  // Over on one side: ours alone must not keep it. Who has said all that it wants to say, and is
  // nobody, gets no answer either.
  if (info.tcpi_state != kEstablished) {
    if (info.tcpi_state == kCloseWait && !open.authenticated) ::shutdown(open.fd, SHUT_RDWR);
    return true;
  }
  if (open.authenticated || open.shut) return false;
  const bool late = now - open.since >= unauthenticated_for;
  if (!late && info.tcpi_bytes_received <= limits_.unauthenticated_bytes) return false;
  late ? admission_.ended_late() : admission_.ended_greedy();
  open.shut = true;
  ::shutdown(open.fd, SHUT_RDWR);
  return false;
}

void ConnectionGuard::authenticated(std::string_view peer) {
  const MutexLock lock(mutex_);
  const auto newest = of_peer_.find(peer);
  if (newest == of_peer_.end()) return;
  bool& known = open_.at(newest->second).authenticated;
  if (!std::exchange(known, true)) admission_.known(newest->second);
}

runtime::ConnectionCounts ConnectionGuard::counts() const {
  return admission_.counts();
}

}  // namespace overwinter::rpc
