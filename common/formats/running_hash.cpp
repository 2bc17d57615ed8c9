#include "common/formats/running_hash.h"

#include <openssl/evp.h>

#include "common/base/check.h"

namespace overwinter::formats {

// SHA-256 has no failure of its own: what fails here is memory or a broken library.
struct RunningHash::State {
  State() : context(EVP_MD_CTX_new()) {
    check(context != nullptr, "OpenSSL has no memory for a digest");
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  EVP_MD_CTX* context;
};

RunningHash::RunningHash() : state_(std::make_unique<State>()) {
  restart();
}
RunningHash::~RunningHash() = default;
RunningHash::RunningHash(RunningHash&&) noexcept = default;
RunningHash& RunningHash::operator=(RunningHash&&) noexcept = default;

void RunningHash::restart() {
  check(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1, "SHA-256 does not start");
}

void RunningHash::update(std::span<const std::byte> data) {
  check(EVP_DigestUpdate(state_->context, data.data(), data.size()) == 1, "SHA-256 does not go on");
}

Digest RunningHash::finish() {
  Digest digest;
  unsigned int length = 0;
  check(EVP_DigestFinal_ex(state_->context, digest.bytes.data(), &length) == 1 &&
            length == digest.bytes.size(),
        "SHA-256 does not end");
  return digest;
}

}  // namespace overwinter::formats
