// Forwarder: a port of 127.0.0.1 in plain HTTP, behind which a coordinator's dashboard answers over
// TLS with the cluster's pinned root, so that a browser needs to know no certificate. It adds no
// credential (TRUST §3; rewrite.h says what it refuses and changes). One thread of its own; bounded
// in connections, headers (16 KiB) and bodies (1 MiB) of requests; answers pass piece by piece as
// they come, whatever their length. No header of Boost.Beast or Asio is needed here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "client/forward/rewrite.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::forward {

struct ForwardConfig {
  std::uint16_t port = 0;  // of 127.0.0.1; 0: a free one
  Place dashboard;
  std::string root_pem;  // the cluster's root
  std::size_t connections_max = 64;
  Duration idle{30'000};  // for a whole request to come
};

// Thread-safe.
class Forwarder {
 public:
  // Listens; does not dial yet. INVALID_ARGUMENT: the port is taken (field --port), or the root is
  // none of a cluster's.
  [[nodiscard]] static Result<std::unique_ptr<Forwarder>> start(const ForwardConfig& config);
  // Cuts what is open.
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // Dials the dashboard once, at most 10 s. UNAVAILABLE says in one sentence that nobody is there,
  // or that who is there is not this cluster's coordinator.
  Status try_dashboard();
  // Whether a browser has asked for the page's login.
  [[nodiscard]] bool login_seen() const;

 private:
  struct Impl;
  explicit Forwarder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether browsers that trust what this machine trusts open `place` without a warning: its
// certificate leads to one of the machine's roots and names the host. False also when nobody is
// there within 10 s.
[[nodiscard]] bool trusted_by_browsers(const Place& place);

}  // namespace overwinter::forward
