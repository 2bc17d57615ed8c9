#include "worker/rpc/peer_dial.h"

#include <grpcpp/grpcpp.h>

#include "common/rpc/channel.h"
#include "common/wire/status_grpc.h"

namespace overwinter::worker {

Status DialedPeer::status(const grpc::Status& ended) const {
  Status status = wire::from_grpc(ended);
  if (!refusal->reason().empty()) {
    status = error(Code::kUnauthenticated, refusal->reason());
  }
  return status;
}

Result<DialedPeer> dial_peer(const std::filesystem::path& leaf_dir, const std::string& address,
                             WorkerId worker) {
  DialedPeer out;
  auto credentials = peer_client_credentials(leaf_dir, std::to_string(worker.value()), out.refusal);
  if (!credentials) return fail(credentials.error());
  out.stub = v1::PeerService::NewStub(make_channel(address, *credentials));
  return out;
}

}  // namespace overwinter::worker
