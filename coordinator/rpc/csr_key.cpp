#include "coordinator/rpc/csr_key.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "common/security/certificate.h"
#include "common/security/encoding.h"

namespace overwinter::rpc {

Result<Digest> public_key_digest(std::string_view csr_pem) {
  const auto refuse = [] {
    return fail(Code::kInvalidArgument, "that is no certificate request", "csr_pem");
  };
  if (csr_pem.size() > kPemBytesMax) return refuse();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(csr_pem.data(), static_cast<int>(csr_pem.size())), &BIO_free);
  const std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> request(
      PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr), &X509_REQ_free);
  if (!request) return refuse();
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request.get()), &der);
  if (size <= 0) return refuse();
  const Digest digest =
      sha256(std::string_view(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return digest;
}

}  // namespace overwinter::rpc
