#include "common/security/host_certificate.h"

#include <openssl/err.h>

#include "common/security/openssl.h"

namespace overwinter {

bool names_host(std::string_view cert_chain_pem, const std::string& host) {
  const Result<openssl::Certificate> leaf = openssl::read_certificate(cert_chain_pem);
  if (!leaf || host.empty()) return false;
  const bool names = X509_check_ip_asc(leaf->get(), host.c_str(), 0) == 1 ||
                     X509_check_host(leaf->get(), host.data(), host.size(),
                                     X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
  ERR_clear_error();
  return names;
}

bool serves(std::string_view cert_chain_pem) {
  const Result<openssl::Certificate> leaf = openssl::read_certificate(cert_chain_pem);
  const bool good = leaf && X509_check_purpose(leaf->get(), X509_PURPOSE_SSL_SERVER, 0) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace overwinter
