// A connection to another worker's peer port. Private to this room.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/domain/ids.h"
#include "common/security/tls_credentials.h"
#include "overwinter/v1/peer.grpc.pb.h"

namespace overwinter::worker {

struct DialedPeer {
  std::shared_ptr<PeerRefusal> refusal = std::make_shared<PeerRefusal>();
  std::unique_ptr<v1::PeerService::Stub> stub;

  // What a person should read: this side's own reason first.
  [[nodiscard]] Status status(const grpc::Status& ended) const;
};

// Dials when first used; only that worker's certificate will do. `leaf_dir`: of this one's.
[[nodiscard]] Result<DialedPeer> dial_peer(const std::filesystem::path& leaf_dir,
                                           const std::string& address, WorkerId worker);

}  // namespace overwinter::worker
