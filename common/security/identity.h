// Who a certificate speaks for: one URI `spiffe://CLUSTER/KIND[/ID]` (TRUST §1). Pure text and PEM;
// no gRPC.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter {

enum class PeerKind { kNone, kWorker, kJoin, kCoordinator };

// "none", "worker", "join", "coordinator".
[[nodiscard]] std::string_view peer_kind_name(PeerKind kind);

struct PeerIdentity {
  PeerKind kind = PeerKind::kNone;  // kNone: no certificate; the rest is empty then
  std::string id;                   // of the worker or the join file; empty for a coordinator
  std::string cluster;
  Time not_after{};  // end of the certificate

  friend bool operator==(const PeerIdentity&, const PeerIdentity&) = default;
};

// The id as a number (WorkerId, JoinFileId); 0 when it is none: decimal, no leading zero, 64 bits.
[[nodiscard]] std::uint64_t numeric_id(const PeerIdentity& identity);

// What may name a cluster: 1 to 63 characters a-z 0-9 . _ - that begin and end with a letter or
// digit (a SPIFFE trust domain).
[[nodiscard]] bool valid_cluster_name(std::string_view name);
// What may name a worker or a join file: 1 to 64 characters A-Z a-z 0-9 . _ - that begin with a
// letter or digit.
[[nodiscard]] bool valid_peer_id(std::string_view id);

[[nodiscard]] std::string coordinator_uri(std::string_view cluster);
[[nodiscard]] std::string worker_uri(std::string_view cluster, std::string_view id);
[[nodiscard]] std::string join_uri(std::string_view cluster, std::string_view id);

// Kind, cluster and id of a URI; not_after stays empty. UNAUTHENTICATED for anything else.
[[nodiscard]] Result<PeerIdentity> parse_identity_uri(std::string_view uri);

// The identity of the first certificate in `pem`. It does not check the chain: TLS did.
// UNAUTHENTICATED when it names not exactly one URI, or, unless it is the coordinator's, any other
// alternative name beside it.
[[nodiscard]] Result<PeerIdentity> identity_of_certificate(std::string_view pem);

}  // namespace overwinter
