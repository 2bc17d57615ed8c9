// The public key inside a certificate request, as a digest: how a machine that joins twice is known
// again.
#pragma once

#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace overwinter::rpc {

// SHA-256 of the request's SubjectPublicKeyInfo. INVALID_ARGUMENT (field csr_pem) when the text is
// no request.
[[nodiscard]] Result<Digest> public_key_digest(std::string_view csr_pem);

}  // namespace overwinter::rpc
