// Reading and checking certificates and keys that are held as PEM text. No OpenSSL type shows here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter {

// Longest PEM text (a chain, a key, a request) that anything here reads.
inline constexpr std::size_t kPemBytesMax = std::size_t{64} * 1024;

// A private key (PKCS#8 PEM) and the certificates to show with it: the leaf first, then who signed
// it.
struct CertifiedKey {
  std::string key_pem;
  std::string cert_chain_pem;
};

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> uris;  // subject alternative names of kind URI
  std::size_t other_names = 0;    // how many alternative names of other kinds
  std::vector<std::string>
      hosts;  // of those the host names and addresses, addresses as inet_ntop writes them
  Time not_before{};
  Time not_after{};
  bool is_ca = false;
  Digest fingerprint;  // SHA-256 of the DER
};

// Of the first certificate in `pem`. INVALID_ARGUMENT when there is none that can be read.
[[nodiscard]] Result<CertificateInfo> read_certificate(std::string_view pem);

// SHA-256 of the DER of the first certificate, in 64 hexadecimal digits.
[[nodiscard]] Result<std::string> certificate_fingerprint_hex(std::string_view pem);

// The cluster that a root certificate is for (its URI `spiffe://CLUSTER`). INVALID_ARGUMENT when it
// is none of ours.
[[nodiscard]] Result<std::string> cluster_of_root(std::string_view root_pem);

// The certificate of `chain_pem` whose fingerprint is `pin`, as PEM. NOT_FOUND when there is none.
[[nodiscard]] Result<std::string> find_in_chain(std::string_view chain_pem, const Digest& pin);

enum class TlsSide { kServer, kClient };

// That the first certificate of the chain leads to `root_pem` by the others and may act as `side`,
// at `now`. UNAUTHENTICATED says what is wrong.
Status check_chain(std::string_view chain_pem, std::string_view root_pem, TlsSide side, Time now);

// Whether the private key belongs to the first certificate; false when one of them cannot be read.
[[nodiscard]] bool key_belongs(std::string_view key_pem, std::string_view cert_chain_pem);

// That key and leaf belong together, that the dates include `now`, and that the chain leads to
// `root_pem`: what a program checks before it dials or serves with them. FAILED_PRECONDITION, one
// sentence with dates.
Status check_certified_key(const CertifiedKey& leaf, std::string_view root_pem, Time now);

// True once a third of the leaf's life has passed (a worker's 30 days: after 10), or when it cannot
// be read.
[[nodiscard]] bool due_for_renewal(std::string_view cert_chain_pem, Time now);

// A new EC P-256 key, PKCS#8 PEM.
[[nodiscard]] Result<std::string> generate_key();

// A certificate request for the key, signed by it. `common_name` is a wish; the CA decides.
[[nodiscard]] Result<std::string> make_csr(std::string_view key_pem, std::string_view common_name);

}  // namespace overwinter
