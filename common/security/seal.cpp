#include "common/security/seal.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <array>
#include <cstdint>
#include <utility>

#include "common/security/encoding.h"
#include "common/security/file_io.h"
#include "common/security/openssl.h"
#include "common/security/random.h"

namespace overwinter {
namespace {

constexpr char kSealFormat = 1;
constexpr std::size_t kSealKeyBytes = 32;
constexpr std::size_t kKeyNameBytes = 8;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kKeyNameBytes + kNonceBytes;
constexpr std::size_t kSealedContentMax = std::size_t{1} << 30;
constexpr std::size_t kSealKeyFileMax = 256;
constexpr std::string_view kSealKeyLine = "overwinter-sealing-key 1 ";
static_assert(kSealBytes == kHeadBytes + kTagBytes);

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, openssl::Deleter<EVP_CIPHER_CTX_free>>;

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* octets(char* text) {
  return reinterpret_cast<unsigned char*>(text);
}

struct Wiped {
  explicit Wiped(std::string& secret) : text(secret) {}
  ~Wiped() { OPENSSL_cleanse(text.data(), text.size()); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  std::string& text;
};

// The head and what the text is bound to: under the tag, not under the cipher.
bool add_bound(EVP_CIPHER_CTX* context, std::string_view head, std::string_view bound,
               int (*update)(EVP_CIPHER_CTX*, unsigned char*, int*, const unsigned char*, int)) {
  int length = 0;
  return update(context, nullptr, &length, octets(head), static_cast<int>(head.size())) == 1 &&
         update(context, nullptr, &length, octets(bound), static_cast<int>(bound.size())) == 1;
}

}  // namespace

struct Sealer::Key {
  std::array<unsigned char, kSealKeyBytes> bytes{};
  std::string name;  // tells it from others; says nothing of it
  Key() = default;
  ~Key() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
};

Result<Sealer> Sealer::of_key(std::string_view bytes) {
  if (bytes.size() != kSealKeyBytes)
    return fail(Code::kFailedPrecondition, "it is not a sealing key of 32 bytes");
  auto key = std::make_shared<Key>();
  std::copy(bytes.begin(), bytes.end(), key->bytes.begin());
  std::string named = "overwinter sealing key: its name";
  const Wiped wiped(named);
  named += bytes;
  const Digest name = sha256(named);
  key->name.assign(reinterpret_cast<const char*>(name.bytes.data()), kKeyNameBytes);
  return Sealer(std::move(key));
}

Result<Sealer> Sealer::open(const std::filesystem::path& key_file) {
  Result<std::string> line = read_file(key_file, kSealKeyFileMax);
  if (!line) return fail(std::move(line.error()));
  const Wiped wiped(*line);
  if (others_can_access(key_file))
    return fail(Code::kFailedPrecondition,
                fmt::format("others can read the key in {}", key_file.string()), {},
                fmt::format("chmod 600 {}", key_file.string()));
  std::string_view text = *line;
  if (text.ends_with('\n')) text.remove_suffix(1);
  Result<std::string> bytes = std::string();
  if (text.starts_with(kSealKeyLine)) bytes = base64url_decode(text.substr(kSealKeyLine.size()));
  if (!bytes) bytes = std::string();
  const Wiped wiped_bytes(*bytes);
  Result<Sealer> sealer = of_key(*bytes);
  if (!sealer)
    return fail(Code::kFailedPrecondition,
                fmt::format("the file {} holds no sealing key", key_file.string()), {},
                "bring it back from a backup");
  return sealer;
}

Result<Sealer> Sealer::create(const std::filesystem::path& key_file) {
  std::array<std::uint8_t, kSealKeyBytes> bytes{};
  fill_random(bytes);
  std::string line = std::string(kSealKeyLine) + base64url_encode(bytes) + "\n";
  OPENSSL_cleanse(bytes.data(), bytes.size());
  const Wiped wiped(line);
  if (Status status = write_file_atomically(key_file, line); !status.ok())
    return fail(std::move(status));
  return open(key_file);
}

Result<std::string> Sealer::seal(std::string_view content, std::string_view bound) const {
  if (content.size() > kSealedContentMax || bound.size() > kSealedContentMax)
    return fail(Code::kInvalidArgument, "that is too long to be sealed");
  std::array<std::uint8_t, kNonceBytes> nonce{};
  fill_random(nonce);
  std::string out(1, kSealFormat);
  out += key_->name;
  out.append(reinterpret_cast<const char*>(nonce.data()), nonce.size());
  const CipherContext context(EVP_CIPHER_CTX_new());
  const bool begun = context && EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr,
                                                   key_->bytes.data(), nonce.data()) == 1;
  if (!begun || !add_bound(context.get(), out, bound, EVP_EncryptUpdate))
    return fail(openssl::failure("seal"));
  out.resize(kHeadBytes + content.size() + kTagBytes);
  int length = 0;
  int last = 0;
  if (EVP_EncryptUpdate(context.get(), octets(out.data() + kHeadBytes), &length, octets(content),
                        static_cast<int>(content.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), octets(out.data() + kHeadBytes + length), &last) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                          out.data() + kHeadBytes + content.size()) != 1)
    return fail(openssl::failure("seal"));
  return out;
}

Result<std::string> Sealer::unseal(std::string_view sealed, std::string_view bound) const {
  const auto damaged = [] { return fail(Code::kInternal, "it is damaged"); };
  if (sealed.size() < kSealBytes || sealed.size() - kSealBytes > kSealedContentMax ||
      bound.size() > kSealedContentMax || sealed.front() != kSealFormat)
    return damaged();
  if (sealed.substr(1, kKeyNameBytes) != key_->name)
    return fail(Code::kFailedPrecondition, "it is sealed with another key");
  const std::string_view head = sealed.substr(0, kHeadBytes);
  const std::string_view content = sealed.substr(kHeadBytes, sealed.size() - kSealBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const CipherContext context(EVP_CIPHER_CTX_new());
  const bool begun =
      context && EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key_->bytes.data(),
                                    octets(head.substr(1 + kKeyNameBytes))) == 1;
  if (!begun || !add_bound(context.get(), head, bound, EVP_DecryptUpdate))
    return fail(openssl::failure("unseal"));
  std::string out(content.size() + kTagBytes, '\0');
  int length = 0;
  int last = 0;
  const bool opened =
      EVP_DecryptUpdate(context.get(), octets(out.data()), &length, octets(content),
                        static_cast<int>(content.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), octets(out.data() + length), &last) == 1;
  if (!opened) {
    OPENSSL_cleanse(out.data(), out.size());
    (void)openssl::last_error();
    return damaged();
  }
  out.resize(content.size());
  return out;
}

}  // namespace overwinter
