#include "common/security/capability.h"

#include <fmt/core.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>

#include "common/security/certificate.h"
#include "common/security/encoding.h"
#include "common/security/file_io.h"
#include "common/security/openssl.h"

namespace overwinter {
namespace {

constexpr std::string_view kPrefix = "owc1_";
constexpr std::string_view kContext{"overwinter capability 1\0", 24};
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kHolderMax = 64;
constexpr std::size_t kNameMax = 128;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

class Writer {
 public:
  void number(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(value >> shift));
  }
  void byte(std::uint8_t value) { text_.push_back(static_cast<char>(value)); }
  void text(std::string_view value) {
    byte(static_cast<std::uint8_t>(value.size()));
    text_ += value;
  }
  void digest(const Digest& value) { text_.append(value.bytes.begin(), value.bytes.end()); }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// Reads past the end give zeros and make whole() false.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (const char c : take(8)) value = (value << 8U) | static_cast<unsigned char>(c);
    return value;
  }
  std::uint8_t byte() {
    const std::string_view one = take(1);
    return one.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(one.front());
  }
  std::string text() { return std::string(take(byte())); }
  Digest digest() {
    Digest digest;
    const std::string_view value = take(digest.bytes.size());
    std::copy(value.begin(), value.end(), digest.bytes.begin());
    return digest;
  }
  [[nodiscard]] bool whole() const { return good_ && text_.empty(); }

 private:
  std::string_view take(std::size_t count) {
    if (count > text_.size()) {
      good_ = false;
      text_ = {};
      return {};
    }
    const std::string_view taken = text_.substr(0, count);
    text_.remove_prefix(count);
    return taken;
  }
  std::string_view text_;
  bool good_ = true;
};

bool valid(const Capability& c) {
  const auto fits = [](std::string_view text, std::size_t most) {
    return !text.empty() && text.size() <= most;
  };
  return fits(c.holder, kHolderMax) && fits(c.project, kNameMax) && fits(c.job, kNameMax) &&
         c.read.size() <= kCapabilityBlobsMax;
}

std::string encode(const Capability& c) {
  Writer out;
  out.number(static_cast<std::uint64_t>(unix_ms(c.end)));
  out.number(c.attempt);
  out.byte(c.write_tiles ? 1 : 0);
  out.text(c.holder);
  out.text(c.project);
  out.text(c.job);
  out.byte(static_cast<std::uint8_t>(c.read.size()));
  for (const Digest& digest : c.read) out.digest(digest);
  return out.take();
}

bool decode_body(std::string_view body, Capability& c) {
  Reader in(body);
  c.end = time_from_unix_ms(static_cast<std::int64_t>(in.number()));
  c.attempt = in.number();
  const std::uint8_t flags = in.byte();
  c.write_tiles = flags == 1;
  c.holder = in.text();
  c.project = in.text();
  c.job = in.text();
  const std::size_t count = in.byte();
  for (std::size_t i = 0; i < count && i < kCapabilityBlobsMax; ++i) c.read.push_back(in.digest());
  return in.whole() && flags <= 1 && valid(c);
}

Result<openssl::Key> ed25519(Result<openssl::Key> key) {
  if (key && EVP_PKEY_get_base_id(key->get()) != EVP_PKEY_ED25519)
    return fail(Code::kInvalidArgument, "this is not an Ed25519 key");
  return key;
}

Status make_key_file(const std::filesystem::path& path) {
  const openssl::Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return openssl::failure("make a key");
  const Result<std::string> pem = openssl::key_to_pem(key.get());
  return pem ? write_file_atomically(path, *pem) : pem.error();
}

}  // namespace

struct CapabilityVerifier::Key {
  openssl::Key key;
};

bool may_read(const Capability& capability, const Digest& blob) {
  return std::find(capability.read.begin(), capability.read.end(), blob) != capability.read.end();
}

CapabilityVerifier::CapabilityVerifier(std::shared_ptr<const Key> key) : key_(std::move(key)) {}

Result<CapabilityVerifier> CapabilityVerifier::from_public_key(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return fail(Code::kInvalidArgument, "the key is too long");
  const openssl::Bio bio = openssl::reader(pem);
  openssl::Key read(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (!read) {
    (void)openssl::last_error();
    return fail(Code::kInvalidArgument, "this is not a public key in PEM");
  }
  Result<openssl::Key> key = ed25519(std::move(read));
  if (!key) return fail(key.error());
  return CapabilityVerifier(std::make_shared<const Key>(Key{std::move(*key)}));
}

Result<Capability> CapabilityVerifier::verify(std::string_view text, std::string_view holder,
                                              Time now) const {
  Result<Capability> capability = verify(text, now);
  if (capability && capability->holder != holder)
    return fail(Code::kPermissionDenied, "this capability was given to another worker");
  return capability;
}

Result<Capability> CapabilityVerifier::verify(std::string_view text, Time now) const {
  const auto foreign = [] {
    return fail(Code::kUnauthenticated, "this is not a capability of this coordinator");
  };
  if (text.size() > kCapabilityBytesMax || !text.starts_with(kPrefix)) return foreign();
  text.remove_prefix(kPrefix.size());
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return foreign();
  const Result<std::string> body = base64url_decode(text.substr(0, dot));
  const Result<std::string> signature = base64url_decode(text.substr(dot + 1));
  if (!body || !signature || signature->size() != kSignatureBytes) return foreign();
  const std::string message = std::string(kContext) + *body;
  const openssl::DigestContext context(EVP_MD_CTX_new());
  const bool ours =
      context &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_->key.get()) == 1 &&
      EVP_DigestVerify(context.get(), bytes(*signature), signature->size(), bytes(message),
                       message.size()) == 1;
  Capability capability;
  if (!ours || !decode_body(*body, capability)) {
    (void)openssl::last_error();
    return foreign();
  }
  if (now >= capability.end)
    return fail(Code::kPermissionDenied,
                fmt::format("this capability ended at {}", format_time(capability.end)));
  return capability;
}

Result<CapabilitySigner> CapabilitySigner::open(const std::filesystem::path& path) {
  Result<std::string> pem = read_file(path, kPemBytesMax);
  if (!pem && pem.error().code == Code::kNotFound) {
    if (Status status = make_key_file(path); !status.ok()) return fail(std::move(status));
    pem = read_file(path, kPemBytesMax);
  }
  if (!pem) return fail(pem.error());
  if (others_can_access(path))
    return fail(Code::kFailedPrecondition,
                fmt::format("others can read the key in {}", path.string()), {},
                fmt::format("chmod 600 {}", path.string()));
  Result<openssl::Key> key = ed25519(openssl::read_key(*pem));
  if (!key)
    return fail(Code::kFailedPrecondition,
                fmt::format("the capability key in {}: {}", path.string(), key.error().message));
  using Key = CapabilityVerifier::Key;
  return CapabilitySigner(CapabilityVerifier(std::make_shared<const Key>(Key{std::move(*key)})));
}

Result<std::string> CapabilitySigner::sign(const Capability& capability) const {
  if (!valid(capability))
    return fail(Code::kInvalidArgument,
                "a capability needs a holder, project and job of bounded length "
                "and names a bounded number of blobs");
  const std::string body = encode(capability);
  const std::string message = std::string(kContext) + body;
  std::array<std::uint8_t, kSignatureBytes> signature{};
  std::size_t length = signature.size();
  const openssl::DigestContext context(EVP_MD_CTX_new());
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, verifier_.key_->key.get()) !=
          1 ||
      EVP_DigestSign(context.get(), signature.data(), &length, bytes(message), message.size()) != 1)
    return fail(openssl::failure("sign a capability"));
  return fmt::format("{}{}.{}", kPrefix, base64url_encode(body), base64url_encode(signature));
}

Result<std::string> CapabilitySigner::public_key_pem() const {
  const openssl::Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), verifier_.key_->key.get()) != 1)
    return fail(openssl::failure("write a key"));
  return openssl::text_of(bio.get());
}

}  // namespace overwinter
