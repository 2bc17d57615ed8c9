#include "coordinator/dashboard/tls_contexts.h"

#include <boost/asio/buffer.hpp>
#include <string_view>
#include <utility>

#include "common/security/coordinator_peer.h"

namespace overwinter::dashboard {
namespace {

Status load_certificate(TlsContext& context, const CertifiedKey& certified) {
  boost::system::error_code failed;
  context.set_options(TlsContext::no_tlsv1_2 | TlsContext::no_tlsv1_1 | TlsContext::no_tlsv1,
                      failed);
  if (!failed) context.use_certificate_chain(boost::asio::buffer(certified.cert_chain_pem), failed);
  if (!failed)
    context.use_private_key(boost::asio::buffer(certified.key_pem), TlsContext::pem, failed);
  if (!failed) return Status::success();
  return error(Code::kFailedPrecondition,
               "the dashboard's certificate cannot be used: " + failed.message());
}

// OpenSSL asks once the client has said which name it wants.
int choose_context(SSL* tls, int*, void* own) {
  const char* name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);
  if (name != nullptr && std::string_view(name) == kCoordinatorServerName) {
    SSL_set_SSL_CTX(tls, static_cast<SSL_CTX*>(own));
  }
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<TlsContextsPtr> make_contexts(const HttpsCertificates& certificates) {
  auto out = std::make_shared<TlsContexts>();
  if (Status status = load_certificate(out->own, certificates.own); !status.ok()) {
    return fail(std::move(status));
  }
  if (!certificates.shown) return out;
  out->shown.emplace(TlsContext::tls_server);
  if (Status status = load_certificate(*out->shown, *certificates.shown); !status.ok()) {
    return fail(std::move(status));
  }
  SSL_CTX* const shown = out->shown->native_handle();
  SSL_CTX_set_tlsext_servername_callback(shown, choose_context);
  SSL_CTX_set_tlsext_servername_arg(shown, out->own.native_handle());
  return out;
}

}  // namespace overwinter::dashboard
