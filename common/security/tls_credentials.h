// gRPC credentials of our servers and clients (TRUST §1, FACTS §8): always TLS, 1.3 alone once
// require_tls13() was called, our own names (URIs under a pinned root) instead of host names.
//
// Everything returned is thread-safe and may be shared by servers and channels. What a handshake
// refuses, the peer sees as UNAVAILABLE; what a client's own side refused stands in its PeerRefusal
// and in the status's message (connect_failure.h).
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/certificate.h"
#include "common/security/identity.h"

namespace grpc {
class AuthContext;
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace overwinter {

// Whether this peer is refused now (revoked, or its use is over). Called in the handshake, on
// resumed sessions too, from gRPC's threads: it must not block.
using DenyPeer = std::function<bool(const PeerIdentity&)>;
// The wall clock's time.
using NowFunction = std::function<Time()>;
[[nodiscard]] Time system_wall_time();

// Port 7600: TLS by the certificate installed in `leaf_dir` (leaf_store.h), taken up anew when it
// changes; asks for no client certificate. FAILED_PRECONDITION when the certificate is not good
// now.
[[nodiscard]] Result<std::shared_ptr<grpc::ServerCredentials>> people_server_credentials(
    const std::filesystem::path& leaf_dir);

struct WorkerServerOptions {
  std::filesystem::path leaf_dir;
  DenyPeer deny;                       // may be empty
  NowFunction now = system_wall_time;  // for the end of a resumed session's certificate
};
// Port 7602: a client certificate under the root of `leaf_dir` is required and verified: a
// worker's, a join file's or the coordinator's own (its probe). One with several names, of another
// cluster, past its end, or denied never reaches HTTP/2. What each kind may call is the caller's
// table.
[[nodiscard]] Result<std::shared_ptr<grpc::ServerCredentials>> worker_server_credentials(
    const WorkerServerOptions& options);

// Why the last handshake was refused by this side, for the message to a person; empty after none.
// Thread-safe.
class PeerRefusal {
 public:
  void set(std::string reason);
  [[nodiscard]] std::string reason() const;

 private:
  mutable Mutex mutex_;
  std::string reason_ OW_GUARDED_BY(mutex_);
};

// A person's or script's channel: the server must be the coordinator of the root's cluster, by its
// URI. `refusal` may be null. INVALID_ARGUMENT when `root_pem` is not the root of a cluster.
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>> people_client_credentials(
    const std::string& root_pem, std::shared_ptr<PeerRefusal> refusal = nullptr);

// A worker's channel: the same, and shows the certificate installed in `leaf_dir`, a renewed one
// from the next connection on. FAILED_PRECONDITION, in one sentence, when that certificate is not
// good now.
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>> worker_client_credentials(
    const std::filesystem::path& leaf_dir, std::shared_ptr<PeerRefusal> refusal = nullptr);

// The same for a certificate held in memory (a test, the coordinator's probe).
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>> certified_client_credentials(
    const CertifiedKey& leaf, const std::string& root_pem,
    std::shared_ptr<PeerRefusal> refusal = nullptr);

// A worker's channel to another worker's peer port: the server must be worker `worker_id` of this
// cluster. Shows the certificate installed in `leaf_dir`. FAILED_PRECONDITION as above.
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>> peer_client_credentials(
    const std::filesystem::path& leaf_dir, const std::string& worker_id,
    std::shared_ptr<PeerRefusal> refusal = nullptr);

struct PinnedClientOptions {
  Digest root_fingerprint;  // SHA-256 of the root's DER, from a join file or a login line
  std::string cluster;      // empty: that of the root
  CertifiedKey leaf;        // the join certificate; empty: none (login)
  // Called from a gRPC thread in each good handshake with the root that the pin stands for, so that
  // it can be kept. May be empty; must not block.
  std::function<void(const std::string& root_pem)> learned_root;
  std::shared_ptr<PeerRefusal> refusal;  // may be null
};
// A channel of who knows only the root's fingerprint: the server's chain must hold that root, lead
// to it, be good now and be the coordinator's.
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>> pinned_client_credentials(
    const PinnedClientOptions& options);

// Who is at the other end of a call's connection, from the certificate that TLS verified. kNone
// without a certificate; UNAUTHENTICATED when it names none of ours. gRPC's identity properties are
// not used: they accumulate over a connection.
[[nodiscard]] Result<PeerIdentity> peer_identity(const grpc::AuthContext& context);

}  // namespace overwinter
