// What handshakes of the dashboard's port are made with: the cluster's own certificate, and beside
// it the one that the operator gave for browsers. Inner header of the room.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <optional>

#include "coordinator/dashboard/https_server.h"

namespace overwinter::dashboard {

using TlsContext = boost::asio::ssl::context;

// A connection that began with one keeps it.
struct TlsContexts {
  TlsContext own{TlsContext::tls_server};
  std::optional<TlsContext> shown;
  TlsContext& first() { return shown ? *shown : own; }
};
using TlsContextsPtr = std::shared_ptr<TlsContexts>;

// FAILED_PRECONDITION: a certificate or its key cannot be used.
[[nodiscard]] Result<TlsContextsPtr> make_contexts(const HttpsCertificates& certificates);

}  // namespace overwinter::dashboard
