// ConnectionGuard: takes the connections of a port in gRPC's place and lets none of them stay that
// shows nobody (TRUST §4, FACTS §8). gRPC's own listener dies for good when descriptors run out,
// and takes in whatever a connection sends before its first call.
//
// Each socket that is handed on is kept a second time here: every 100 ms the kernel says what it
// has taken in, and one that nobody has authenticated for ten seconds (two when the port is
// crowded), or that sent too much before that, is shut down. Of a full port, one of the address
// with most of them makes room (runtime::Admission).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/runtime/admission.h"

namespace overwinter::rpc {

struct GuardLimits {
  runtime::AdmissionLimits admission;
  Duration unauthenticated_for{10'000};
  Duration unauthenticated_in_a_crowd{2'000};
  // gRPC tells of a call once its first message is there: so much may that one have, over a line
  // however slow, on a new connection.
  std::uint64_t unauthenticated_bytes = 1024 * 1024;
};

class ConnectionGuard {
 public:
  // Takes ownership of `fd`, which is connected and does not block.
  using HandOver = std::function<void(int listener, int fd)>;

  // Listens on HOST:PORT (port 0: a free one). FAILED_PRECONDITION when it cannot be had. `name`:
  // of the port, for the log.
  [[nodiscard]] static Result<std::unique_ptr<ConnectionGuard>> listen(const std::string& address,
                                                                       const GuardLimits& limits,
                                                                       std::string name);
  ~ConnectionGuard();
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

  [[nodiscard]] int port() const { return port_; }
  // From then on connections are taken, on a thread of its own.
  void start(HandOver hand_over);
  // Takes no more; those that are open stay. May be called twice.
  void stop();
  // A call that was let in came over the connection of `peer`, as gRPC writes it
  // ("ipv4:10.0.0.7:4711", "ipv6:%5B::1%5D:4711"). Any thread.
  void authenticated(std::string_view peer);
  [[nodiscard]] runtime::ConnectionCounts counts() const;

 private:
  struct Open {
    int fd = -1;
    std::string peer;
    std::chrono::steady_clock::time_point since;
    bool authenticated = false;
    bool shut = false;
  };

  ConnectionGuard(int listener, int port, const GuardLimits& limits, std::string name);
  void run(const std::stop_token& stop);
  void take_all();
  void take(int fd, std::string peer, const std::string& address);
  void no_descriptor();
  // At those that somebody authenticated only with `known`: they can do no more than end. Sets
  // has_unknown_.
  void look_at_all(bool known);
  void end(runtime::Admission::Id id) OW_REQUIRES(mutex_);
  void forget(runtime::Admission::Id id) OW_REQUIRES(mutex_);
  // Whether it is over.
  [[nodiscard]] bool look_at(Open& open, std::chrono::steady_clock::time_point now,
                             Duration unauthenticated_for);

  const int listener_;
  const int port_;
  const GuardLimits limits_;
  const std::string name_;
  HandOver hand_over_;
  runtime::Admission admission_;
  mutable Mutex mutex_;
  std::map<runtime::Admission::Id, Open> open_ OW_GUARDED_BY(mutex_);
  // The newest of each peer, as gRPC writes it: one before it with the same port is over.
  std::map<std::string, runtime::Admission::Id, std::less<>> of_peer_ OW_GUARDED_BY(mutex_);
  // Of its thread:
  bool has_unknown_ = false;
  std::optional<std::chrono::steady_clock::time_point> warned_at_;

  std::jthread thread_;
};

}  // namespace overwinter::rpc
