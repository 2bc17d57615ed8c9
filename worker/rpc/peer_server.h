// PeerServer: the port where the daemons of a gang's other hosts ask this one to start ranks (TRUST
// §2).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/tls_credentials.h"
#include "worker/runtime/gang_launcher.h"

namespace overwinter::worker {

inline constexpr std::uint16_t kPeerPortFirst = 7610;
inline constexpr std::uint16_t kPeerPortLast = 7619;

struct PeerServerConfig {
  std::filesystem::path leaf_dir;  // of this worker's certificate
  WorkerId worker;                 // this one
  std::string cluster;
  std::string address = "0.0.0.0";  // to listen at
  std::uint16_t port_first = kPeerPortFirst;
  std::uint16_t port_last = kPeerPortLast;
  DenyPeer deny;               // revoked workers; may be empty
  Duration alive_every{1000};  // signs of life on a launch's stream, both ways
  Duration lost_after{4000};   // without one the other host is gone: its ranks here end
};

// A client certificate of a worker of this cluster is required; what it may start was announced to
// the launcher before.
class PeerServer {
 public:
  // Listens at the first port that is free. RESOURCE_EXHAUSTED when none is. The launcher outlives
  // it.
  [[nodiscard]] static Result<std::unique_ptr<PeerServer>> start(const PeerServerConfig& config,
                                                                 GangLauncher& launcher);
  ~PeerServer();  // ends all launches
  PeerServer(const PeerServer&) = delete;
  PeerServer& operator=(const PeerServer&) = delete;
  [[nodiscard]] std::uint16_t port() const;

 private:
  struct Impl;
  explicit PeerServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter::worker
