// Status ↔ grpc::Status. What went wrong, the field, the hint, what was asked for and a time to
// wait travel as google.rpc.Status details (ErrorInfo, BadRequest, Help, ResourceInfo, RetryInfo),
// so that clients that are not ours read them too.
#pragma once

#include <grpcpp/support/status.h>

#include <optional>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::wire {

// Of every ErrorInfo. Its reason is the code's name; its metadata names the field, where there is
// one.
inline constexpr std::string_view kErrorDomain = "overwinter";

// `resource`: the full name of what was asked for ("projects/p/jobs/j"); told as ResourceInfo when
// it does not exist, exists already or may not be touched.
[[nodiscard]] grpc::Status to_grpc(const Status& status,
                                   std::optional<Duration> retry_after = std::nullopt,
                                   std::string_view resource = {});
// Of a status that is not ours: code and message alone. Details that do not parse are ignored.
[[nodiscard]] Status from_grpc(const grpc::Status& status);
// The time to wait that the other side named.
[[nodiscard]] std::optional<Duration> retry_after(const grpc::Status& status);

}  // namespace overwinter::wire
