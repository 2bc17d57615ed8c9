// Makes one X.509 certificate. Included by .cpp files of this room only.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/openssl.h"

namespace overwinter {

enum class LeafUse { kServer, kClient, kServerAndClient };

// What the certificate says of its subject.
struct Subject {
  std::string common_name;
  std::string uri;                       // the first alternative name
  std::span<const std::string> hosts{};  // host names and IP addresses, checked here
};

// Who signs; both empty: the subject itself.
struct Signer {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
};

// A CA certificate that may have `path_length` CAs below it.
[[nodiscard]] Result<openssl::Certificate> build_ca(const Subject& subject, EVP_PKEY* subject_key,
                                                    const Signer& signer, int path_length,
                                                    Time from, Time to);
// A leaf (CA:FALSE) with the key usage digitalSignature and the extended usage `use`.
[[nodiscard]] Result<openssl::Certificate> build_leaf(const Subject& subject, EVP_PKEY* subject_key,
                                                      const Signer& signer, LeafUse use, Time from,
                                                      Time to);

}  // namespace overwinter
