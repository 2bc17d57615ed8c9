// Whether a server is this cluster's coordinator, by the certificate that it shows. Pure PEM.
#pragma once

#include <string_view>

#include "common/base/result.h"

namespace overwinter {

// `peer_pem`: the server's own certificate, whose chain to the pinned root was verified before.
// UNAUTHENTICATED, in one sentence, when it is not the coordinator's of `cluster`.
Status check_coordinator(std::string_view peer_pem, std::string_view cluster);

// The server name (SNI) by which our own client asks the page's port for the certificate of the
// cluster's CA: browsers, who ask for the host's name, may be shown one of the operator's. No such
// name can be in anybody's DNS.
inline constexpr const char* kCoordinatorServerName = "coordinator.overwinter.invalid";

}  // namespace overwinter
