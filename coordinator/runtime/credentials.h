// Who a bearer token speaks for, and whether that is enough. The same for gRPC and for HTTP.
#pragma once

#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/domain/principal.h"
#include "coordinator/runtime/views.h"

namespace overwinter::runtime {

// From the value of an `authorization` header ("Bearer ow_…"). UNAUTHENTICATED in one sentence:
// missing, unknown, revoked or past its end. Never blocks for longer than a look into a view.
[[nodiscard]] Result<Principal> person_of(const Views& views, std::string_view authorization,
                                          Time now);

// The same for who showed a token before and is known by its hash.
[[nodiscard]] Result<Principal> person_of(const Views& views, const Digest& token_hash, Time now);

// PERMISSION_DENIED in one sentence when `principal` has not got `permission`.
Status require(const Principal& principal, Permission permission);

}  // namespace overwinter::runtime
