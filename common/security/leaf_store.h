// Where a program keeps the certificate it shows: DIR/current/{key.pem, cert.pem, root.pem}. The
// three change by one rename (TRUST §1), so that gRPC's file watcher never sees a key beside
// another's certificate, which would end every new handshake (FACTS §8).
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/ca.h"
#include "common/security/certificate.h"

namespace overwinter {

struct LeafPaths {
  std::filesystem::path key;
  std::filesystem::path certificate_chain;
  std::filesystem::path root;
};

[[nodiscard]] LeafPaths leaf_paths(const std::filesystem::path& dir);

struct Leaf {
  CertifiedKey leaf;
  std::string root_pem;
};

// Checks key, dates and chain (check_certified_key), then replaces what is there. `dir` is made
// 0700 when it is missing. Servers and channels made from `dir` take it up within about two
// seconds.
Status install_leaf(const std::filesystem::path& dir, const CertifiedKey& leaf,
                    const std::string& root_pem, Time now);

// Sees to it that `dir` holds a good leaf of the coordinator: issues and installs a new one when
// there is none, when a third of its life has passed, when it is not of this CA, or when its hosts
// are not localhost and `names`. True when it did. Call at start and once a day (renew the issuing
// CA before it).
[[nodiscard]] Result<bool> keep_coordinator_leaf(const CertificateAuthority& ca,
                                                 const std::filesystem::path& dir,
                                                 std::span<const std::string> names, Time now);

// What was installed. NOT_FOUND when nothing was. It is not checked: call check_certified_key.
[[nodiscard]] Result<Leaf> load_leaf(const std::filesystem::path& dir);

}  // namespace overwinter
