#include "common/security/passphrase_seal.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "common/security/openssl.h"
#include "common/security/random.h"

namespace overwinter {
namespace {

constexpr std::string_view kPassphraseMagic = "OWP1";
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kPassphraseHeadBytes = kPassphraseMagic.size() + kSaltBytes;
constexpr std::size_t kChunkBytes = std::size_t{64} * 1024;
constexpr std::size_t kChunkTagBytes = 16;
constexpr std::size_t kSealedMax = std::size_t{1} << 30;
constexpr std::uint64_t kScryptN = 1U << 16U;
constexpr std::uint64_t kScryptR = 8;
constexpr std::uint64_t kScryptP = 1;
constexpr std::uint64_t kScryptMemoryMax = std::uint64_t{128} << 20;

using ChunkCipher = std::unique_ptr<EVP_CIPHER_CTX, openssl::Deleter<EVP_CIPHER_CTX_free>>;
using Nonce = std::array<unsigned char, 12>;

const unsigned char* octets_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* octets_of(char* text) {
  return reinterpret_cast<unsigned char*>(text);
}

class PassphraseKey {
 public:
  [[nodiscard]] Status derive(std::string_view passphrase, std::string_view salt) {
    const int done =
        EVP_PBE_scrypt(passphrase.data(), passphrase.size(), octets_of(salt), salt.size(), kScryptN,
                       kScryptR, kScryptP, kScryptMemoryMax, bytes_.data(), bytes_.size());
    return done == 1 ? Status::success() : openssl::failure("make a key of the passphrase");
  }
  PassphraseKey() = default;
  ~PassphraseKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  PassphraseKey(const PassphraseKey&) = delete;
  PassphraseKey& operator=(const PassphraseKey&) = delete;
  [[nodiscard]] const unsigned char* data() const { return bytes_.data(); }

 private:
  std::array<unsigned char, 32> bytes_{};
};

Nonce nonce_of(std::uint64_t number) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[nonce.size() - 1 - i] = static_cast<unsigned char>(number >> (8 * i));
  }
  return nonce;
}

// What a tag covers beside its chunk.
std::string covered(std::string_view head, bool last) {
  return std::string(head) + (last ? '\1' : '\0');
}

bool seal_chunk(EVP_CIPHER_CTX* context, const PassphraseKey& key, std::uint64_t number,
                std::string_view about, std::string_view chunk, std::string& out) {
  const Nonce nonce = nonce_of(number);
  const std::size_t at = out.size();
  out.resize(at + chunk.size() + kChunkTagBytes);
  int length = 0;
  return EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1 &&
         EVP_EncryptUpdate(context, nullptr, &length, octets_of(about),
                           static_cast<int>(about.size())) == 1 &&
         EVP_EncryptUpdate(context, octets_of(out.data() + at), &length, octets_of(chunk),
                           static_cast<int>(chunk.size())) == 1 &&
         EVP_EncryptFinal_ex(context, octets_of(out.data() + at + length), &length) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kChunkTagBytes,
                             out.data() + at + chunk.size()) == 1;
}

bool unseal_chunk(EVP_CIPHER_CTX* context, const PassphraseKey& key, std::uint64_t number,
                  std::string_view about, std::string_view sealed, std::string& out) {
  const Nonce nonce = nonce_of(number);
  const std::string_view chunk = sealed.substr(0, sealed.size() - kChunkTagBytes);
  std::string tag(sealed.substr(chunk.size()));
  const std::size_t at = out.size();
  out.resize(at + chunk.size());
  std::array<unsigned char, kChunkTagBytes> rest{};
  int length = 0;
  return EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1 &&
         EVP_DecryptUpdate(context, nullptr, &length, octets_of(about),
                           static_cast<int>(about.size())) == 1 &&
         EVP_DecryptUpdate(context, octets_of(out.data() + at), &length, octets_of(chunk),
                           static_cast<int>(chunk.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kChunkTagBytes, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(context, rest.data(), &length) == 1;
}

}  // namespace

Status check_passphrase(std::string_view passphrase) {
  if (passphrase.size() >= kPassphraseMin && passphrase.size() <= kPassphraseMax)
    return Status::success();
  return error(Code::kInvalidArgument,
               fmt::format("a passphrase has {} to {} bytes", kPassphraseMin, kPassphraseMax),
               "passphrase");
}

Result<std::string> seal_with_passphrase(std::string_view content, std::string_view passphrase) {
  if (Status status = check_passphrase(passphrase); !status.ok()) return fail(std::move(status));
  if (content.size() > kSealedMax)
    return fail(Code::kInvalidArgument, "that is too long to be sealed");
  std::array<std::uint8_t, kSaltBytes> salt{};
  fill_random(salt);
  std::string head(kPassphraseMagic);
  head.append(reinterpret_cast<const char*>(salt.data()), salt.size());
  PassphraseKey key;
  if (Status status =
          key.derive(passphrase, std::string_view(head).substr(kPassphraseMagic.size()));
      !status.ok())
    return fail(std::move(status));
  const ChunkCipher context(EVP_CIPHER_CTX_new());
  std::string out = head;
  out.reserve(head.size() + content.size() + (content.size() / kChunkBytes + 1) * kChunkTagBytes);
  for (std::uint64_t number = 0;; ++number) {
    const bool last = content.size() <= kChunkBytes;
    const std::string_view chunk = content.substr(0, kChunkBytes);
    content.remove_prefix(chunk.size());
    if (!context || !seal_chunk(context.get(), key, number, covered(head, last), chunk, out))
      return fail(openssl::failure("seal"));
    if (last) return out;
  }
}

Result<std::string> unseal_with_passphrase(std::string_view sealed, std::string_view passphrase) {
  const auto damaged = [] { return fail(Code::kDataLoss, "the sealed keys are damaged"); };
  if (sealed.size() < kPassphraseHeadBytes + kChunkTagBytes || sealed.size() > 2 * kSealedMax ||
      !sealed.starts_with(kPassphraseMagic))
    return damaged();
  if (!check_passphrase(passphrase).ok())
    return fail(Code::kPermissionDenied, "the passphrase is another one");
  const std::string_view head = sealed.substr(0, kPassphraseHeadBytes);
  sealed.remove_prefix(head.size());
  PassphraseKey key;
  if (Status status = key.derive(passphrase, head.substr(kPassphraseMagic.size())); !status.ok())
    return fail(std::move(status));
  const ChunkCipher context(EVP_CIPHER_CTX_new());
  std::string out;
  out.reserve(sealed.size());  // never moved: what it held would stay in memory
  for (std::uint64_t number = 0;; ++number) {
    const std::string_view chunk = sealed.substr(0, kChunkBytes + kChunkTagBytes);
    sealed.remove_prefix(chunk.size());
    const bool last = sealed.empty();
    const bool opened = chunk.size() >= kChunkTagBytes && context &&
                        unseal_chunk(context.get(), key, number, covered(head, last), chunk, out);
    if (!opened) {
      OPENSSL_cleanse(out.data(), out.size());
      (void)openssl::last_error();
      if (number == 0)
        return fail(Code::kPermissionDenied, "the passphrase is another one", "passphrase",
                    "it is the one that was asked for when the backup was taken");
      return damaged();
    }
    if (last) return out;
  }
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace overwinter
