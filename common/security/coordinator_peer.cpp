#include "common/security/coordinator_peer.h"

#include <fmt/core.h>

#include "common/security/identity.h"

namespace overwinter {

Status check_coordinator(std::string_view peer_pem, std::string_view cluster) {
  const Result<PeerIdentity> peer = identity_of_certificate(peer_pem);
  if (!peer) return peer.error();
  if (peer->kind != PeerKind::kCoordinator)
    return error(Code::kUnauthenticated,
                 fmt::format("the server is no coordinator: it shows the certificate of {} {}",
                             peer_kind_name(peer->kind), peer->id));
  if (peer->cluster != cluster)
    return error(Code::kUnauthenticated,
                 fmt::format("the server is the coordinator of cluster {}, not of {}",
                             peer->cluster, cluster));
  return Status::success();
}

}  // namespace overwinter
