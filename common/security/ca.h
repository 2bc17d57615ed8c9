// The cluster's certificate authority (TRUST §1): a pinned root signs an issuing CA of one year,
// which signs the leaves of the coordinator, of workers and of join files. EC P-256 and SHA-256
// throughout.
//
// Its folder (0700; keys 0600):
//   root.pem root.key          10 years; root.key may be taken off the machine, only
//   renew_issuing() needs it issuing/ → issuing-XXXX/   issuing.pem issuing.key; a symbolic link,
//   so that key and certificate change as one
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/certificate.h"

namespace overwinter {

inline constexpr Duration kWorkerCertificateLife = std::chrono::hours(24 * 30);
inline constexpr Duration kCoordinatorCertificateLife = std::chrono::hours(24 * 90);
inline constexpr Duration kIssuingLife = std::chrono::hours(24 * 365);
inline constexpr Duration kRootLife = std::chrono::hours(24 * 3650);

// Thread-safe. No leaf outlives its issuing CA; all dates begin an hour back, so that a clock a
// little behind does not refuse them. `now` is cluster time.
class CertificateAuthority {
 public:
  // Makes `dir`, which must not exist or be empty; whole or not at all, also through a crash.
  // `cluster` is what valid_cluster_name() takes.
  [[nodiscard]] static Result<CertificateAuthority> create(const std::filesystem::path& dir,
                                                           std::string_view cluster, Time now);
  // NOT_FOUND when there is none; FAILED_PRECONDITION when key, certificates or modes do not fit.
  [[nodiscard]] static Result<CertificateAuthority> open(const std::filesystem::path& dir);

  CertificateAuthority(CertificateAuthority&&) noexcept;
  CertificateAuthority& operator=(CertificateAuthority&&) noexcept;
  ~CertificateAuthority();

  [[nodiscard]] const std::string& cluster() const;
  [[nodiscard]] const std::string& root_pem() const;
  // SHA-256 of the root's DER, 64 hexadecimal digits: what join files and login lines pin.
  [[nodiscard]] const std::string& root_fingerprint_hex() const;

  // A key and chain (leaf, issuing, root) for the coordinator's servers: its URI, and `names` (host
  // names and addresses from --name) with localhost, 127.0.0.1 and ::1. INVALID_ARGUMENT names the
  // bad name.
  [[nodiscard]] Result<CertifiedKey> issue_coordinator(std::span<const std::string> names,
                                                       Time now) const;

  // A chain (leaf, issuing) for a worker of 30 days. From the request only the public key is taken
  // (EC P-256 or P-384), after its signature was checked. INVALID_ARGUMENT for a bad request or id.
  [[nodiscard]] Result<std::string> sign_worker(std::string_view csr_pem,
                                                std::string_view worker_id, Time now) const;

  // Key and chain (leaf, issuing) of a join file, good for `ttl` from now.
  [[nodiscard]] Result<CertifiedKey> issue_join(std::string_view id, Time now, Duration ttl) const;

  [[nodiscard]] Time issuing_not_after() const;
  // True when less than 60 days of the issuing CA are left: renew_issuing() is due.
  [[nodiscard]] bool issuing_due(Time now) const;
  // A new issuing CA, signed by the root; leaves of the old one stay good until they or it end.
  // FAILED_PRECONDITION when root.key is not in the folder.
  Status renew_issuing(Time now);

 private:
  struct Impl;
  explicit CertificateAuthority(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter
