// Owners for OpenSSL's objects and the few moves that files of this room share. Included by .cpp
// files of this room only.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::openssl {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
inline void free_names(GENERAL_NAMES* names) {
  GENERAL_NAMES_free(names);
}
inline void free_stack(STACK_OF(X509) * stack) {
  sk_X509_free(stack);
}

using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Deleter<free_names>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using Stack = std::unique_ptr<STACK_OF(X509), Deleter<free_stack>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

// What OpenSSL says about its last error; empties its queue.
[[nodiscard]] std::string last_error();
// INTERNAL: "cannot `doing`: " and OpenSSL's reason.
[[nodiscard]] Status failure(std::string_view doing);

[[nodiscard]] Bio reader(std::string_view text);
[[nodiscard]] Result<std::string> text_of(BIO* bio);

[[nodiscard]] Result<Key> read_key(std::string_view pem);
[[nodiscard]] Result<std::string> key_to_pem(EVP_PKEY* key);
[[nodiscard]] Result<Certificate> read_certificate(std::string_view pem);
// All certificates of a text, at most 8. INVALID_ARGUMENT for none or more.
[[nodiscard]] Result<std::vector<Certificate>> read_chain(std::string_view pem);
[[nodiscard]] Result<std::string> certificate_to_pem(X509* certificate);
[[nodiscard]] Digest fingerprint(const X509* certificate);

[[nodiscard]] Time to_time(const ASN1_TIME* time);
[[nodiscard]] time_t to_time_t(Time time);

// Verifies chain.front() by the rest, up to the root alone. UNAUTHENTICATED says what is wrong.
Status verify(const std::vector<Certificate>& chain, X509* root, int purpose, Time now);

}  // namespace overwinter::openssl
