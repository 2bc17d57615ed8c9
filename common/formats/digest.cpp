#include "common/formats/digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "common/base/check.h"

namespace overwinter::formats {
namespace {

// SHA-256 has no failure of its own: what fails here is memory or a broken library.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    check(context_ != nullptr, "OpenSSL has no memory for a digest");
    restart();
  }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void restart() {
    check(EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1, "SHA-256 does not start");
  }
  void update(std::span<const std::byte> data) {
    check(EVP_DigestUpdate(context_, data.data(), data.size()) == 1, "SHA-256 does not go on");
  }
  [[nodiscard]] Digest finish() {
    Digest digest;
    unsigned int length = 0;
    check(EVP_DigestFinal_ex(context_, digest.bytes.data(), &length) == 1 &&
              length == digest.bytes.size(),
          "SHA-256 does not end");
    return digest;
  }

 private:
  EVP_MD_CTX* context_;
};

}  // namespace

Digest sha256(std::span<const std::byte> data) {
  Sha256 hash;
  hash.update(data);
  return hash.finish();
}

Digest digest_of_chunks(std::span<const Digest> chunks) {
  Sha256 hash;
  for (const Digest& chunk : chunks) hash.update(std::as_bytes(std::span(chunk.bytes)));
  return hash.finish();
}

struct BlobDigester::State {
  Sha256 whole;
  Sha256 chunk;
  std::uint64_t in_chunk = 0;
  std::uint64_t size_bytes = 0;

  void end_chunk() {
    const Digest digest = chunk.finish();
    whole.update(std::as_bytes(std::span(digest.bytes)));
    chunk.restart();
    in_chunk = 0;
  }
};

BlobDigester::BlobDigester() : state_(std::make_unique<State>()) {}
BlobDigester::~BlobDigester() = default;
BlobDigester::BlobDigester(BlobDigester&&) noexcept = default;
BlobDigester& BlobDigester::operator=(BlobDigester&&) noexcept = default;

void BlobDigester::update(std::span<const std::byte> data) {
  State& state = *state_;
  state.size_bytes += data.size();
  while (!data.empty()) {
    const auto take = static_cast<std::size_t>(
        std::min<std::uint64_t>(data.size(), kDigestChunkBytes - state.in_chunk));
    state.chunk.update(data.first(take));
    state.in_chunk += take;
    data = data.subspan(take);
    if (state.in_chunk == kDigestChunkBytes) state.end_chunk();
  }
}

std::uint64_t BlobDigester::size_bytes() const {
  return state_->size_bytes;
}

Digest BlobDigester::finish() {
  if (state_->in_chunk != 0) state_->end_chunk();
  return state_->whole.finish();
}

}  // namespace overwinter::formats
