#include "common/security/openssl.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>

#include "common/base/check.h"
#include "common/security/certificate.h"

namespace overwinter::openssl {
namespace {

constexpr std::size_t kChainMax = 8;

// A key that would ask for a passphrase is refused, not asked for.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("error {:#x}", code);
}

Status failure(std::string_view doing) {
  return error(Code::kInternal, fmt::format("cannot {}: {}", doing, last_error()));
}

Bio reader(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<std::string> text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  if (size <= 0 || data == nullptr) return fail(failure("write PEM"));
  return std::string(data, static_cast<std::size_t>(size));
}

Result<Key> read_key(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return fail(Code::kInvalidArgument, "the key is too long");
  const Bio bio = reader(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) return fail(Code::kInvalidArgument, "this is not a private key in PEM");
  return key;
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return fail(failure("write a key"));
  return text_of(bio.get());
}

Result<std::vector<Certificate>> read_chain(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return fail(Code::kInvalidArgument, "the certificate is too long");
  const Bio bio = reader(pem);
  std::vector<Certificate> chain;
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)}) {
    if (chain.size() == kChainMax)
      return fail(Code::kInvalidArgument, "the chain has too many certificates");
    chain.push_back(std::move(next));
  }
  // Reading ends with "no start line" after the last one; anything else is a broken certificate.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (chain.empty() || !at_end)
    return fail(Code::kInvalidArgument, "this is not a certificate in PEM");
  return chain;
}

Result<Certificate> read_certificate(std::string_view pem) {
  Result<std::vector<Certificate>> chain = read_chain(pem);
  if (!chain) return fail(chain.error());
  return std::move(chain->front());
}

Result<std::string> certificate_to_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1)
    return fail(failure("write a certificate"));
  return text_of(bio.get());
}

Digest fingerprint(const X509* certificate) {
  Digest digest;
  unsigned length = 0;
  check(X509_digest(certificate, EVP_sha256(), digest.bytes.data(), &length) == 1 &&
            length == digest.bytes.size(),
        "a certificate has a SHA-256");
  return digest;
}

Time to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return Time{};
  return time_from_unix_ms(static_cast<std::int64_t>(::timegm(&parts)) * 1000);
}

time_t to_time_t(Time time) {
  return static_cast<time_t>(unix_ms(time) / 1000);
}

Status verify(const std::vector<Certificate>& chain, X509* root, int purpose, Time now) {
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  const Stack untrusted(sk_X509_new_null());
  if (!store || !context || !untrusted || X509_STORE_add_cert(store.get(), root) != 1)
    return failure("prepare the check of a certificate");
  for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(untrusted.get(), chain[i].get());
  if (X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), untrusted.get()) != 1)
    return failure("prepare the check of a certificate");
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_STORE_CTX_set_time(context.get(), 0, to_time_t(now));
  const bool good = X509_verify_cert(context.get()) == 1;
  const int reason = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (good) return Status::success();
  return error(Code::kUnauthenticated,
               fmt::format("the certificate is not good for this cluster: {}",
                           X509_verify_cert_error_string(reason)));
}

}  // namespace overwinter::openssl
