// Status ↔ grpc::Status. The field, the hint and a time to wait travel as google.rpc.Status details
// (BadRequest, Help, RetryInfo), so that clients that are not ours read them too.
#pragma once

#include <grpcpp/support/status.h>

#include <optional>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::wire {

[[nodiscard]] grpc::Status to_grpc(const Status& status,
                                   std::optional<Duration> retry_after = std::nullopt);
// Of a status that is not ours: code and message alone. Details that do not parse are ignored.
[[nodiscard]] Status from_grpc(const grpc::Status& status);
// The time to wait that the other side named.
[[nodiscard]] std::optional<Duration> retry_after(const grpc::Status& status);

}  // namespace overwinter::wire
