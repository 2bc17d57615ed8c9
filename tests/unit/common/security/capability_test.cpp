#include "common/security/capability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include "common/security/certificate.h"
#include "common/security/encoding.h"
#include "common/security/file_io.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using test::run_command;
using testing::HasSubstr;

const Time kNow = time_from_unix_ms(1'795'600'000'000);

class CapabilityTest : public testing::Test {
 protected:
  // gRPC reads the same thread's error queue: what we leave there would break someone's connection.
  void TearDown() override { EXPECT_EQ(ERR_peek_error(), 0u); }

  CapabilityTest() : signer_(must(CapabilitySigner::open(folder_ / "capability.key"))) {}

  static Capability example() {
    return {"17",
            "demo",
            "m-7k2f9",
            3,
            {sha256("A"), sha256("B")},
            true,
            kNow + std::chrono::minutes(10)};
  }

  test::TemporaryFolder folder_;
  CapabilitySigner signer_;
};

TEST_F(CapabilityTest, ComesBackToItsHolder) {
  const Capability given = example();
  const std::string text = must(signer_.sign(given));
  EXPECT_TRUE(text.starts_with("owc1_"));
  const CapabilityVerifier other_side =
      must(CapabilityVerifier::from_public_key(must(signer_.public_key_pem())));
  EXPECT_EQ(must(other_side.verify(text, "17", kNow)), given);
  EXPECT_EQ(must(signer_.verifier().verify(text, "17", kNow)), given);
  EXPECT_TRUE(may_read(given, sha256("A")));
  EXPECT_FALSE(may_read(given, sha256("C")));
}

TEST_F(CapabilityTest, OthersAndLaterTimesAreRefused) {
  const std::string text = must(signer_.sign(example()));
  const CapabilityVerifier& verifier = signer_.verifier();
  EXPECT_EQ(verifier.verify(text, "18", kNow).error().code, Code::kPermissionDenied);
  EXPECT_EQ(verifier.verify(text, "", kNow).error().code, Code::kPermissionDenied);
  EXPECT_TRUE(verifier.verify(text, "17", example().end - Duration(1)));
  EXPECT_EQ(verifier.verify(text, "17", example().end).error().code, Code::kPermissionDenied);
  // Whoever shows it: then only its end counts.
  EXPECT_EQ(must(verifier.verify(text, kNow)).holder, "17");
  EXPECT_EQ(verifier.verify(text, example().end).error().code, Code::kPermissionDenied);
}

TEST_F(CapabilityTest, EveryChangedCharacterAndEveryCutIsRefused) {
  const std::string text = must(signer_.sign(example()));
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_EQ(signer_.verifier().verify(changed, "17", kNow).error().code, Code::kUnauthenticated)
        << at;
    EXPECT_FALSE(signer_.verifier().verify(text.substr(0, at), "17", kNow)) << at;
  }
  EXPECT_FALSE(signer_.verifier().verify(text + "A", "17", kNow));
  EXPECT_FALSE(signer_.verifier().verify("", "17", kNow));
}

TEST_F(CapabilityTest, AnotherKeysSignatureIsRefused) {
  const CapabilitySigner other = must(CapabilitySigner::open(folder_ / "other.key"));
  EXPECT_EQ(signer_.verifier().verify(must(other.sign(example())), "17", kNow).error().code,
            Code::kUnauthenticated);
}

TEST_F(CapabilityTest, SignatureIsEd25519InOpensslsEyes) {
  const std::string text = must(signer_.sign(example()));
  const std::size_t dot = text.find('.');
  const auto message = folder_.put("message", std::string("overwinter capability 1\0", 24) +
                                                  must(base64url_decode(text.substr(5, dot - 5))));
  const auto signature = folder_.put("signature", must(base64url_decode(text.substr(dot + 1))));
  const auto key = folder_.put("public.pem", must(signer_.public_key_pem()));
  const auto verified = run_command("openssl pkeyutl -verify -rawin -pubin -inkey " + key.string() +
                                    " -in " + message.string() + " -sigfile " + signature.string());
  EXPECT_EQ(verified.status, 0) << verified.output;
  EXPECT_THAT(run_command("openssl pkey -noout -text -pubin -in " + key.string()).output,
              HasSubstr("ED25519 Public-Key"));
}

TEST_F(CapabilityTest, SizesAreBounded) {
  Capability largest = example();
  largest.holder = std::string(64, 'h');
  largest.project = std::string(128, 'p');
  largest.job = std::string(128, 'j');
  largest.attempt = ~0ULL;
  largest.read.assign(kCapabilityBlobsMax, sha256("x"));
  const std::string text = must(signer_.sign(largest));
  EXPECT_LE(text.size(), kCapabilityBytesMax);
  EXPECT_EQ(must(signer_.verifier().verify(text, largest.holder, kNow)), largest);

  const auto refused = [&](auto change) {
    Capability c = example();
    change(c);
    return !signer_.sign(c);
  };
  EXPECT_TRUE(refused([](Capability& c) { c.holder = std::string(65, 'h'); }));
  EXPECT_TRUE(refused([](Capability& c) { c.holder.clear(); }));
  EXPECT_TRUE(refused([](Capability& c) { c.project = std::string(129, 'h'); }));
  EXPECT_TRUE(refused([](Capability& c) { c.job = std::string(129, 'h'); }));
  EXPECT_TRUE(refused([](Capability& c) { c.read.resize(kCapabilityBlobsMax + 1); }));
  EXPECT_FALSE(signer_.verifier().verify("owc1_" + std::string(100'000, 'A'), "17", kNow));
}

TEST_F(CapabilityTest, KeyIsPrivateKeptAndChecked) {
  const auto path = folder_ / "capability.key";
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const CapabilitySigner again = must(CapabilitySigner::open(path));
  EXPECT_TRUE(again.verifier().verify(must(signer_.sign(example())), "17", kNow));
  ::chmod(path.c_str(), 0640);
  EXPECT_THAT(CapabilitySigner::open(path).error().hint, HasSubstr("chmod 600"));
  ASSERT_TRUE(write_file_atomically(folder_ / "wrong.key", must(generate_key())).ok());
  EXPECT_THAT(CapabilitySigner::open(folder_ / "wrong.key").error().message, HasSubstr("Ed25519"));
  EXPECT_FALSE(CapabilityVerifier::from_public_key("x"));
}

}  // namespace
}  // namespace overwinter
