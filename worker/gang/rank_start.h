// How every rank begins: by its daemon's socket and what Open MPI says of its place.
#pragma once

#include "common/base/result.h"
#include "overwinter/v1/local.pb.h"
#include "worker/local/local_channel.h"

namespace overwinter::worker {

// Of the environment. FAILED_PRECONDITION: this is no rank of a gang, or its daemon is gone.
[[nodiscard]] Result<LocalChannel> rank_channel();
[[nodiscard]] v1::RankHello rank_hello();

}  // namespace overwinter::worker
