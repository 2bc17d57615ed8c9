#include "worker/rpc/port_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
// After time.h: it uses timespec and does not say so.
#include <linux/errqueue.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <optional>

namespace overwinter::worker {
namespace {

constexpr Duration kPollSlice{100};

// Whether it was a router's or firewall's message that ended the connection, not the machine's own
// reset: Linux gives both the same error, and keeps the message where IP_RECVERR asks for it.
bool told_by_icmp(int socket) {
  std::array<char, 512> control{};
  char data = 0;
  iovec part{&data, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return false;
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_IP || one->cmsg_type != IP_RECVERR) continue;
    const auto* error = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(one));
    if (error->ee_origin == SO_EE_ORIGIN_ICMP) return true;
  }
  return false;
}

PortAnswer answer_of(int socket, int failed) {
  switch (failed) {
    case 0:
      return PortAnswer::kAccepted;
    case ECONNREFUSED:
      return told_by_icmp(socket) ? PortAnswer::kRejected : PortAnswer::kClosed;
    case ETIMEDOUT:
      return PortAnswer::kSilent;
    default:
      return PortAnswer::kRejected;
  }
}

// One connection on its way.
class Connecting {
 public:
  Connecting(in_addr address, std::uint16_t port) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
      answer_ = PortAnswer::kSilent;
      return;
    }
    const int on = 1;
    ::setsockopt(socket_, SOL_IP, IP_RECVERR, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr = address;
    to.sin_port = htons(port);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
      answer_ = PortAnswer::kAccepted;
    } else if (errno != EINPROGRESS) {
      answer_ = answer_of(socket_, errno);
    }
  }
  ~Connecting() {
    if (socket_ >= 0) ::close(socket_);
  }
  Connecting(const Connecting&) = delete;
  Connecting& operator=(const Connecting&) = delete;

  [[nodiscard]] pollfd to_poll() const { return {answer_ ? -1 : socket_, POLLOUT, 0}; }
  void look() {
    int failed = 0;
    socklen_t size = sizeof failed;
    if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &failed, &size) != 0) failed = errno;
    answer_ = answer_of(socket_, failed);
  }
  [[nodiscard]] bool known() const { return answer_.has_value(); }
  [[nodiscard]] PortAnswer answer() const { return answer_.value_or(PortAnswer::kSilent); }

 private:
  int socket_ = -1;
  std::optional<PortAnswer> answer_;
};

}  // namespace

Result<std::vector<PortAnswer>> try_ports(const std::string& address,
                                          std::span<const std::uint16_t> ports, Duration within,
                                          const std::stop_token& stop) {
  in_addr ip{};
  if (::inet_pton(AF_INET, address.c_str(), &ip) != 1) {
    return fail(Code::kInvalidArgument, "'" + address + "' is no IPv4 address", "address");
  }
  const auto until = std::chrono::steady_clock::now() + within;
  std::deque<Connecting> attempts;
  for (const std::uint16_t port : ports) attempts.emplace_back(ip, port);
  const auto all_known = [&attempts] {
    return std::all_of(attempts.begin(), attempts.end(), [](const auto& a) { return a.known(); });
  };
  while (!all_known() && !stop.stop_requested()) {
    const auto left = std::chrono::ceil<Duration>(until - std::chrono::steady_clock::now());
    if (left <= Duration(0)) break;
    std::vector<pollfd> polled;
    for (const Connecting& one : attempts) polled.push_back(one.to_poll());
    const auto slice = static_cast<int>(std::min(left, kPollSlice).count());
    if (::poll(polled.data(), polled.size(), slice) <= 0) continue;
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents != 0) attempts[i].look();
    }
  }
  std::vector<PortAnswer> out;
  for (const Connecting& one : attempts) out.push_back(one.answer());
  return out;
}

}  // namespace overwinter::worker
