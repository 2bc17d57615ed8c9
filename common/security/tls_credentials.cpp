#include "common/security/tls_credentials.h"

#include <fmt/core.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <map>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/security/certificate_builder.h"
#include "common/security/coordinator_peer.h"
#include "common/security/encoding.h"
#include "common/security/leaf_store.h"

namespace overwinter {
namespace {

namespace tls = grpc::experimental;

constexpr unsigned kWatchSeconds = 1;

std::string_view view(grpc::string_ref text) {
  return {text.data(), text.size()};
}

// A verifier that decides at once. `Check` is a callable:
// Status(TlsCustomVerificationCheckRequest&).
template <class Check>
class SyncVerifier final : public tls::ExternalCertificateVerifier {
 public:
  explicit SyncVerifier(Check check) : check_(std::move(check)) {}
  ~SyncVerifier() override = default;

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* sync_status) override {
    const Status status = check_(*request);
    *sync_status = status.ok() ? grpc::Status::OK
                               : grpc::Status(grpc::StatusCode::UNAUTHENTICATED, status.message);
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  Check check_;
};

template <class Check>
std::shared_ptr<tls::CertificateVerifier> make_verifier(Check check) {
  return tls::ExternalCertificateVerifier::Create<SyncVerifier<Check>>(std::move(check));
}

Status unauthenticated(std::string what) {
  return error(Code::kUnauthenticated, std::move(what));
}

Status note(const std::shared_ptr<PeerRefusal>& refusal, Status status) {
  if (refusal) refusal->set(status.message);
  return status;
}

std::shared_ptr<tls::CertificateVerifier> coordinator_verifier(
    std::string cluster, std::shared_ptr<PeerRefusal> refusal) {
  return make_verifier([cluster = std::move(cluster), refusal = std::move(refusal)](
                           tls::TlsCustomVerificationCheckRequest& request) {
    return note(refusal, check_coordinator(view(request.peer_cert()), cluster));
  });
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(
    std::shared_ptr<tls::CertificateProviderInterface> provider, bool with_identity,
    bool verify_chain, std::shared_ptr<tls::CertificateVerifier> verifier) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::move(provider));
  options.watch_root_certs();
  if (with_identity) options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(verify_chain);
  options.set_check_call_host(false);  // our names are URIs; the verifier demands one
  options.set_certificate_verifier(std::move(verifier));
  return tls::TlsCredentials(options);
}

// gRPC wants some root for a channel, and without one would look for the system's, which a fresh
// machine lacks. Where the pin decides, it gets a certificate whose key is thrown away.
Result<std::string> throwaway_root() {
  const openssl::Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl::failure("make a key"));
  const Time now = system_wall_time();
  const Result<openssl::Certificate> root =
      build_ca({"nobody", "spiffe://nobody"}, key.get(), {}, 0, now, now + std::chrono::hours(1));
  if (!root) return fail(root.error());
  return openssl::certificate_to_pem(root->get());
}

Status check_pinned(tls::TlsCustomVerificationCheckRequest& request,
                    const PinnedClientOptions& options) {
  const std::string_view chain = view(request.peer_cert_full_chain());
  const Result<std::string> root = find_in_chain(chain, options.root_fingerprint);
  if (!root) {
    if (root.error().code != Code::kNotFound) return root.error();
    return unauthenticated(
        fmt::format("the server does not belong to this cluster: its chain does not hold the root "
                    "with SHA-256 {}",
                    to_hex(options.root_fingerprint)));
  }
  if (Status status = check_chain(chain, *root, TlsSide::kServer, system_wall_time()); !status.ok())
    return status;
  Result<std::string> cluster = cluster_of_root(*root);
  if (!cluster) return cluster.error();
  if (!options.cluster.empty() && *cluster != options.cluster)
    return unauthenticated(
        fmt::format("the server's root is of cluster {}, not of {}", *cluster, options.cluster));
  // The certificate that TLS proved is the chain's first (identity_of_certificate reads the first).
  if (Status status = check_coordinator(chain, *cluster); !status.ok()) return status;
  if (options.learned_root) options.learned_root(*root);
  return Status::success();
}

Result<std::string> checked_cluster(const std::filesystem::path& leaf_dir) {
  const Result<Leaf> leaf = load_leaf(leaf_dir);
  if (!leaf) return fail(leaf.error());
  if (Status status = check_certified_key(leaf->leaf, leaf->root_pem, system_wall_time());
      !status.ok())
    return fail(std::move(status));
  return cluster_of_root(leaf->root_pem);
}

// Identities by the SHA-256 of their certificate. Reading a certificate takes OpenSSL about 0.15
// ms, and every call of a worker asks; what a certificate says never changes.
class IdentityCache {
 public:
  Result<PeerIdentity> get(std::string_view pem) {
    const Digest key = sha256(pem);
    {
      const MutexLock lock(mutex_);
      if (const auto found = known_.find(key); found != known_.end()) return found->second;
    }
    Result<PeerIdentity> identity = identity_of_certificate(pem);
    if (!identity) return identity;
    const MutexLock lock(mutex_);
    if (known_.size() >= kMost) known_.clear();
    known_.emplace(key, *identity);
    return identity;
  }

 private:
  static constexpr std::size_t kMost = 4096;
  Mutex mutex_;
  std::map<Digest, PeerIdentity> known_ OW_GUARDED_BY(mutex_);
};

}  // namespace

Time system_wall_time() {
  return Time(system_clock().wall());
}

void PeerRefusal::set(std::string reason) {
  const MutexLock lock(mutex_);
  reason_ = std::move(reason);
}

std::string PeerRefusal::reason() const {
  const MutexLock lock(mutex_);
  return reason_;
}

Result<std::shared_ptr<grpc::ServerCredentials>> people_server_credentials(
    const std::filesystem::path& leaf_dir) {
  const Result<std::string> cluster = checked_cluster(leaf_dir);
  if (!cluster) return fail(cluster.error());
  const LeafPaths paths = leaf_paths(leaf_dir);
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      paths.key.string(), paths.certificate_chain.string(), kWatchSeconds));
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return tls::TlsServerCredentials(options);
}

Result<std::shared_ptr<grpc::ServerCredentials>> worker_server_credentials(
    const WorkerServerOptions& server) {
  Result<std::string> cluster = checked_cluster(server.leaf_dir);
  if (!cluster) return fail(cluster.error());
  const LeafPaths paths = leaf_paths(server.leaf_dir);
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      paths.key.string(), paths.certificate_chain.string(), paths.root.string(), kWatchSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.set_check_call_host(false);
  // The chain was verified by TLS, but not for a resumed session: end and deny list are looked at
  // here.
  options.set_certificate_verifier(
      make_verifier([cluster = std::move(*cluster), deny = server.deny,
                     now = server.now](tls::TlsCustomVerificationCheckRequest& request) {
        const Result<PeerIdentity> peer = identity_of_certificate(view(request.peer_cert()));
        if (!peer) return peer.error();
        if (peer->cluster != cluster) return unauthenticated("a certificate of another cluster");
        if (now() > peer->not_after) return unauthenticated("the certificate has ended");
        if (deny && deny(*peer)) return unauthenticated("the certificate was revoked");
        return Status::success();
      }));
  return tls::TlsServerCredentials(options);
}

Result<std::shared_ptr<grpc::ChannelCredentials>> people_client_credentials(
    const std::string& root_pem, std::shared_ptr<PeerRefusal> refusal) {
  Result<std::string> cluster = cluster_of_root(root_pem);
  if (!cluster) return fail(cluster.error());
  return channel_credentials(std::make_shared<tls::StaticDataCertificateProvider>(root_pem), false,
                             true, coordinator_verifier(std::move(*cluster), std::move(refusal)));
}

Result<std::shared_ptr<grpc::ChannelCredentials>> worker_client_credentials(
    const std::filesystem::path& leaf_dir, std::shared_ptr<PeerRefusal> refusal) {
  Result<std::string> cluster = checked_cluster(leaf_dir);
  if (!cluster) return fail(cluster.error());
  const LeafPaths paths = leaf_paths(leaf_dir);
  return channel_credentials(
      std::make_shared<tls::FileWatcherCertificateProvider>(
          paths.key.string(), paths.certificate_chain.string(), paths.root.string(), kWatchSeconds),
      true, true, coordinator_verifier(std::move(*cluster), std::move(refusal)));
}

Result<std::shared_ptr<grpc::ChannelCredentials>> peer_client_credentials(
    const std::filesystem::path& leaf_dir, const std::string& worker_id,
    std::shared_ptr<PeerRefusal> refusal) {
  const Result<std::string> cluster = checked_cluster(leaf_dir);
  if (!cluster) return fail(cluster.error());
  const LeafPaths paths = leaf_paths(leaf_dir);
  return channel_credentials(
      std::make_shared<tls::FileWatcherCertificateProvider>(
          paths.key.string(), paths.certificate_chain.string(), paths.root.string(), kWatchSeconds),
      true, true,
      make_verifier([uri = worker_uri(*cluster, worker_id), worker_id,
                     refusal =
                         std::move(refusal)](tls::TlsCustomVerificationCheckRequest& request) {
        const Result<PeerIdentity> peer = identity_of_certificate(view(request.peer_cert()));
        if (!peer) return note(refusal, peer.error());
        if (peer->kind == PeerKind::kWorker && worker_uri(peer->cluster, peer->id) == uri) {
          return Status::success();
        }
        return note(refusal, unauthenticated(fmt::format(
                                 "the server is not worker {}: it shows the certificate of {} {}",
                                 worker_id, peer_kind_name(peer->kind), peer->id)));
      }));
}

Result<std::shared_ptr<grpc::ChannelCredentials>> certified_client_credentials(
    const CertifiedKey& leaf, const std::string& root_pem, std::shared_ptr<PeerRefusal> refusal) {
  Result<std::string> cluster = cluster_of_root(root_pem);
  if (!cluster) return fail(cluster.error());
  const std::vector<tls::IdentityKeyCertPair> pairs = {{leaf.key_pem, leaf.cert_chain_pem}};
  return channel_credentials(std::make_shared<tls::StaticDataCertificateProvider>(root_pem, pairs),
                             true, true,
                             coordinator_verifier(std::move(*cluster), std::move(refusal)));
}

Result<std::shared_ptr<grpc::ChannelCredentials>> pinned_client_credentials(
    const PinnedClientOptions& options) {
  const Result<std::string> root = throwaway_root();
  if (!root) return fail(root.error());
  const bool with_identity = !options.leaf.key_pem.empty();
  std::vector<tls::IdentityKeyCertPair> pairs;
  if (with_identity) pairs.push_back({options.leaf.key_pem, options.leaf.cert_chain_pem});
  return channel_credentials(
      std::make_shared<tls::StaticDataCertificateProvider>(*root, pairs), with_identity, false,
      make_verifier([options](tls::TlsCustomVerificationCheckRequest& request) {
        return note(options.refusal, check_pinned(request, options));
      }));
}

Result<PeerIdentity> peer_identity(const grpc::AuthContext& context) {
  const std::vector<grpc::string_ref> certificates = context.FindPropertyValues("x509_pem_cert");
  if (certificates.empty()) return PeerIdentity{};
  if (certificates.size() != 1 || !context.IsPeerAuthenticated())
    return fail(Code::kUnauthenticated, "the connection does not show exactly one certificate");
  static IdentityCache& cache = *new IdentityCache;  // gRPC's threads may outlive static objects
  return cache.get(view(certificates.front()));
}

}  // namespace overwinter
