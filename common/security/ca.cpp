#include "common/security/ca.h"

#include <fmt/core.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/base/mutex.h"
#include "common/security/certificate_builder.h"
#include "common/security/file_io.h"
#include "common/security/identity.h"
#include "common/security/openssl.h"
#include "common/security/random.h"
#include "common/security/switched_folder.h"

namespace overwinter {
namespace {

namespace fs = std::filesystem;

constexpr Duration kBackdate = std::chrono::hours(1);
constexpr Duration kIssuingRenewal = std::chrono::hours(24 * 60);

Time backdated(Time now) {
  return now - kBackdate;
}

struct Issuer {
  openssl::Certificate certificate;
  openssl::Key key;
  std::string pem;
  Time not_after{};
};

struct Pem {
  std::string certificate;
  std::string key;
};

Result<Issuer> load_issuer(const Pem& pem) {
  Result<openssl::Certificate> certificate = openssl::read_certificate(pem.certificate);
  if (!certificate) return fail(certificate.error());
  Result<openssl::Key> key = openssl::read_key(pem.key);
  if (!key) return fail(key.error());
  if (EVP_PKEY_eq(X509_get0_pubkey(certificate->get()), key->get()) != 1) {
    (void)openssl::last_error();
    return fail(Code::kFailedPrecondition, "the key does not belong to the certificate");
  }
  const Time not_after = openssl::to_time(X509_get0_notAfter(certificate->get()));
  return Issuer{std::move(*certificate), std::move(*key), pem.certificate, not_after};
}

Result<Pem> make_root(std::string_view cluster, Time now) {
  const openssl::Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl::failure("make the root key"));
  const Subject subject{fmt::format("Overwinter root of {}", cluster),
                        fmt::format("spiffe://{}", cluster)};
  const Result<openssl::Certificate> certificate =
      build_ca(subject, key.get(), {}, 1, backdated(now), now + kRootLife);
  if (!certificate) return fail(certificate.error());
  Result<std::string> certificate_pem = openssl::certificate_to_pem(certificate->get());
  if (!certificate_pem) return fail(certificate_pem.error());
  Result<std::string> key_pem = openssl::key_to_pem(key.get());
  if (!key_pem) return fail(key_pem.error());
  return Pem{std::move(*certificate_pem), std::move(*key_pem)};
}

Result<Pem> make_issuing(std::string_view cluster, const Issuer& root, Time now) {
  const openssl::Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl::failure("make the issuing key"));
  const Subject subject{fmt::format("Overwinter issuing CA of {}", cluster),
                        fmt::format("spiffe://{}/issuing", cluster)};
  const Time end = std::min(now + kIssuingLife, root.not_after);
  const Result<openssl::Certificate> certificate = build_ca(
      subject, key.get(), {root.certificate.get(), root.key.get()}, 0, backdated(now), end);
  if (!certificate) return fail(certificate.error());
  Result<std::string> certificate_pem = openssl::certificate_to_pem(certificate->get());
  if (!certificate_pem) return fail(certificate_pem.error());
  Result<std::string> key_pem = openssl::key_to_pem(key.get());
  if (!key_pem) return fail(key_pem.error());
  return Pem{std::move(*certificate_pem), std::move(*key_pem)};
}

Status store_issuing(const fs::path& dir, const Pem& issuing) {
  return switch_folder(dir, "issuing",
                       {{"issuing.key", issuing.key, kPrivateFile},
                        {"issuing.pem", issuing.certificate, kPublicFile}});
}

Status fill_folder(const fs::path& dir, std::string_view cluster, Time now) {
  const Result<Pem> root_pem = make_root(cluster, now);
  if (!root_pem) return root_pem.error();
  const Result<Issuer> root = load_issuer(*root_pem);
  if (!root) return root.error();
  const Result<Pem> issuing = make_issuing(cluster, *root, now);
  if (!issuing) return issuing.error();
  if (Status s = write_file_atomically(dir / "root.key", root_pem->key); !s.ok()) return s;
  if (Status s = write_file_atomically(dir / "root.pem", root_pem->certificate, kPublicFile);
      !s.ok())
    return s;
  return store_issuing(dir, *issuing);
}

Status wrong_folder(const fs::path& dir, std::string_view what) {
  return error(Code::kFailedPrecondition,
               fmt::format("the certificate authority in {}: {}", dir.string(), what));
}

// The public key of a request that is signed by its own key and whose kind we take.
Result<openssl::Key> key_of_request(std::string_view csr_pem) {
  const auto bad = [](std::string what) {
    return fail(Code::kInvalidArgument, std::move(what), "csr");
  };
  if (csr_pem.size() > kPemBytesMax) return bad("the certificate request is too long");
  const openssl::Bio bio = openssl::reader(csr_pem);
  const openssl::Request request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!request) {
    (void)openssl::last_error();
    return bad("this is not a certificate request in PEM");
  }
  openssl::Key key(X509_REQ_get_pubkey(request.get()));
  char group[64] = {};
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_EC ||
      EVP_PKEY_get_group_name(key.get(), group, sizeof group, nullptr) != 1 ||
      (std::strcmp(group, SN_X9_62_prime256v1) != 0 && std::strcmp(group, SN_secp384r1) != 0)) {
    (void)openssl::last_error();
    return bad("the key of a certificate request must be an EC key on P-256 or P-384");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    (void)openssl::last_error();
    return bad("the certificate request is not signed by its own key");
  }
  return key;
}

}  // namespace

struct CertificateAuthority::Impl {
  fs::path dir;
  std::string cluster;
  std::string root_pem;
  std::string fingerprint;
  openssl::Certificate root;
  Mutex mutex;
  Issuer issuing OW_GUARDED_BY(mutex);

  // A chain of the new leaf and the issuing CA.
  Result<std::string> sign(const Subject& subject, EVP_PKEY* key, LeafUse use, Time now,
                           Duration life) {
    const MutexLock lock(mutex);
    const Time end = std::min(now + life, issuing.not_after);
    if (end <= now)
      return fail(Code::kFailedPrecondition,
                  fmt::format("the issuing CA ended at {}", format_time(issuing.not_after)), {},
                  "put root.key back into its folder and start the coordinator");
    const Result<openssl::Certificate> leaf = build_leaf(
        subject, key, {issuing.certificate.get(), issuing.key.get()}, use, backdated(now), end);
    if (!leaf) return fail(leaf.error());
    Result<std::string> chain = openssl::certificate_to_pem(leaf->get());
    if (chain) *chain += issuing.pem;
    return chain;
  }

  // The same for a key made here.
  Result<CertifiedKey> issue(const Subject& subject, LeafUse use, Time now, Duration life) {
    const openssl::Key key(EVP_EC_gen("P-256"));
    if (!key) return fail(openssl::failure("make a key"));
    Result<std::string> chain = sign(subject, key.get(), use, now, life);
    if (!chain) return fail(chain.error());
    Result<std::string> key_pem = openssl::key_to_pem(key.get());
    if (!key_pem) return fail(key_pem.error());
    return CertifiedKey{std::move(*key_pem), std::move(*chain)};
  }
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CertificateAuthority::CertificateAuthority(CertificateAuthority&&) noexcept = default;
CertificateAuthority& CertificateAuthority::operator=(CertificateAuthority&&) noexcept = default;
CertificateAuthority::~CertificateAuthority() = default;

Result<CertificateAuthority> CertificateAuthority::create(const fs::path& dir,
                                                          std::string_view cluster, Time now) {
  if (!valid_cluster_name(cluster))
    return fail(Code::kInvalidArgument,
                fmt::format("\"{}\" cannot name a cluster: 1 to 63 of a-z 0-9 . _ -, a letter or "
                            "digit at both ends",
                            cluster),
                "cluster");
  std::error_code ignored;
  if (fs::exists(dir, ignored) && !fs::is_empty(dir, ignored))
    return fail(Code::kAlreadyExists, fmt::format("{} exists and is not empty", dir.string()));
  fs::path temporary = dir;
  temporary += ".new-" + random_id(6);
  Status status = ensure_private_folder(temporary);
  if (status.ok()) status = fill_folder(temporary, cluster, now);
  if (status.ok() && ::rename(temporary.c_str(), dir.c_str()) != 0)
    status = error(Code::kInternal,
                   fmt::format("cannot create {}: {}", dir.string(), std::strerror(errno)));
  if (status.ok()) status = fsync_folder(dir.parent_path());
  if (!status.ok()) {
    fs::remove_all(temporary, ignored);
    return fail(std::move(status));
  }
  return open(dir);
}

Result<CertificateAuthority> CertificateAuthority::open(const fs::path& dir) {
  Result<std::string> root_pem = read_file(dir / "root.pem", kPemBytesMax);
  if (!root_pem) return fail(root_pem.error());
  if (Status status = ensure_private_folder(dir); !status.ok()) return fail(std::move(status));
  const Result<std::string> certificate_pem =
      read_file(dir / "issuing" / "issuing.pem", kPemBytesMax);
  if (!certificate_pem) return fail(wrong_folder(dir, certificate_pem.error().message));
  const Result<std::string> key_pem = read_file(dir / "issuing" / "issuing.key", kPemBytesMax);
  if (!key_pem) return fail(wrong_folder(dir, key_pem.error().message));
  Result<std::string> cluster = cluster_of_root(*root_pem);
  if (!cluster) return fail(wrong_folder(dir, cluster.error().message));
  Result<openssl::Certificate> root = openssl::read_certificate(*root_pem);
  if (!root) return fail(wrong_folder(dir, root.error().message));
  Result<Issuer> issuing = load_issuer({*certificate_pem, *key_pem});
  if (!issuing) return fail(wrong_folder(dir, issuing.error().message));
  if (X509_verify(issuing->certificate.get(), X509_get0_pubkey(root->get())) != 1) {
    (void)openssl::last_error();
    return fail(wrong_folder(dir, "the issuing CA is not signed by the root"));
  }
  auto impl = std::make_unique<Impl>();
  impl->dir = dir;
  impl->cluster = std::move(*cluster);
  impl->fingerprint = to_hex(openssl::fingerprint(root->get()));
  impl->root_pem = std::move(*root_pem);
  impl->root = std::move(*root);
  {
    const MutexLock lock(impl->mutex);
    impl->issuing = std::move(*issuing);
  }
  return CertificateAuthority(std::move(impl));
}

const std::string& CertificateAuthority::cluster() const {
  return impl_->cluster;
}
const std::string& CertificateAuthority::root_pem() const {
  return impl_->root_pem;
}
const std::string& CertificateAuthority::root_fingerprint_hex() const {
  return impl_->fingerprint;
}

Result<CertifiedKey> CertificateAuthority::issue_coordinator(std::span<const std::string> names,
                                                             Time now) const {
  constexpr std::size_t kNamesMax = 64;
  if (names.size() > kNamesMax)
    return fail(Code::kInvalidArgument, fmt::format("more than {} names", kNamesMax), "name");
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
  for (const std::string& name : names) {
    if (std::find(hosts.begin(), hosts.end(), name) == hosts.end()) hosts.push_back(name);
  }
  const Subject subject{"overwinter-coordinator", coordinator_uri(impl_->cluster), hosts};
  // Its own certificate also opens its own worker port: it dials that to see that it still answers
  // (TRUST §4).
  Result<CertifiedKey> leaf =
      impl_->issue(subject, LeafUse::kServerAndClient, now, kCoordinatorCertificateLife);
  // The root travels with the chain: who joins knows only its fingerprint.
  if (leaf) leaf->cert_chain_pem += impl_->root_pem;
  return leaf;
}

Result<std::string> CertificateAuthority::sign_worker(std::string_view csr_pem,
                                                      std::string_view worker_id, Time now) const {
  if (!valid_peer_id(worker_id))
    return fail(Code::kInvalidArgument, "this cannot be a worker's id", "worker_id");
  const Result<openssl::Key> key = key_of_request(csr_pem);
  if (!key) return fail(key.error());
  const Subject subject{std::string(worker_id), worker_uri(impl_->cluster, worker_id)};
  return impl_->sign(subject, key->get(), LeafUse::kServerAndClient, now, kWorkerCertificateLife);
}

Result<CertifiedKey> CertificateAuthority::issue_join(std::string_view id, Time now,
                                                      Duration ttl) const {
  if (!valid_peer_id(id))
    return fail(Code::kInvalidArgument, "this cannot be a join file's id", "id");
  if (ttl <= Duration::zero() || ttl > kIssuingLife)
    return fail(Code::kInvalidArgument, "a join file is good for a time up to a year", "ttl");
  const Subject subject{std::string(id), join_uri(impl_->cluster, id)};
  return impl_->issue(subject, LeafUse::kClient, now, ttl);
}

Time CertificateAuthority::issuing_not_after() const {
  const MutexLock lock(impl_->mutex);
  return impl_->issuing.not_after;
}

bool CertificateAuthority::issuing_due(Time now) const {
  return now + kIssuingRenewal > issuing_not_after();
}

Status CertificateAuthority::renew_issuing(Time now) {
  const Result<std::string> key_pem = read_file(impl_->dir / "root.key", kPemBytesMax);
  if (!key_pem)
    return error(Code::kFailedPrecondition,
                 fmt::format("the issuing CA ends at {} and only the root's key can renew it: {}",
                             format_time(issuing_not_after()), key_pem.error().message),
                 {}, fmt::format("put root.key back into {}", impl_->dir.string()));
  const Result<Issuer> root = load_issuer({impl_->root_pem, *key_pem});
  if (!root) return wrong_folder(impl_->dir, root.error().message);
  const Result<Pem> pem = make_issuing(impl_->cluster, *root, now);
  if (!pem) return pem.error();
  Result<Issuer> issuing = load_issuer(*pem);
  if (!issuing) return issuing.error();
  if (Status status = store_issuing(impl_->dir, *pem); !status.ok()) return status;
  const MutexLock lock(impl_->mutex);
  impl_->issuing = std::move(*issuing);
  return Status::success();
}

}  // namespace overwinter
