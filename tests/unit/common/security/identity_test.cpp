#include "common/security/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include "common/security/certificate.h"
#include "common/security/file_io.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using test::run_command;
using testing::HasSubstr;

TEST(IdentityTest, UrisSayKindClusterAndId) {
  const PeerIdentity worker = must(parse_identity_uri(worker_uri("demo", "17")));
  EXPECT_EQ(worker, (PeerIdentity{PeerKind::kWorker, "17", "demo", {}}));
  EXPECT_EQ(must(parse_identity_uri(join_uri("a.b-c", "x_Y.1"))),
            (PeerIdentity{PeerKind::kJoin, "x_Y.1", "a.b-c", {}}));
  EXPECT_EQ(must(parse_identity_uri(coordinator_uri("demo"))),
            (PeerIdentity{PeerKind::kCoordinator, "", "demo", {}}));
}

TEST(IdentityTest, OtherUrisAreNobody) {
  for (const char* uri :
       {"", "spiffe://", "spiffe://demo", "spiffe://demo/", "spiffe://demo/worker",
        "spiffe://demo/worker/", "spiffe://demo/worker/1/2", "spiffe://demo/worker/1?x",
        "spiffe://demo/worker/../coordinator", "spiffe://demo/coordinator/",
        "spiffe://demo/coordinator/1", "spiffe://DEMO/worker/1", "https://demo/worker/1",
        "SPIFFE://demo/worker/1", "spiffe:///worker/1", "spiffe://a@demo/worker/1",
        "spiffe://demo:1/worker/1", "spiffe://demo/Worker/1", "spiffe://demo/worker/1 "})
    EXPECT_EQ(parse_identity_uri(uri).error().code, Code::kUnauthenticated) << uri;
  EXPECT_FALSE(parse_identity_uri(std::string_view("spiffe://demo/worker/1\0x", 24)));
}

TEST(IdentityTest, NumbersAreReadStrictly) {
  const auto number = [](std::string id) {
    return numeric_id({PeerKind::kWorker, std::move(id), "demo", {}});
  };
  EXPECT_EQ(number("17"), 17u);
  EXPECT_EQ(number("18446744073709551615"), 18446744073709551615ULL);
  for (const char* id :
       {"", "0", "017", "-1", "+1", "1x", "x", "18446744073709551616", " 1", "0x1"})
    EXPECT_EQ(number(id), 0u) << id;
}

// Certificates with alternative names as we never make them, by openssl's own hand.
class ForeignCertificateTest : public testing::Test {
 protected:
  // gRPC reads the same thread's error queue: what we leave there would break someone's connection.
  void TearDown() override { EXPECT_EQ(ERR_peek_error(), 0u); }

  Result<PeerIdentity> identity_with(const std::string& names) {
    const auto file = folder_ / "c.pem";
    const std::string extension = names.empty() ? "" : " -addext 'subjectAltName=" + names + "'";
    const auto made = run_command(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null"
        " -subj /CN=17 -days 1 -out " +
        file.string() + extension);
    EXPECT_EQ(made.status, 0) << made.output;
    return identity_of_certificate(must(read_file(file, kPemBytesMax)));
  }
  test::TemporaryFolder folder_;
};

TEST_F(ForeignCertificateTest, ExactlyOneNameCounts) {
  EXPECT_EQ(must(identity_with("URI:spiffe://demo/worker/1")).id, "1");
  for (const char* names :
       {"", "DNS:demo", "URI:spiffe://demo/worker/1,URI:spiffe://demo/worker/2",
        "URI:spiffe://demo/worker/1,URI:spiffe://demo/coordinator",
        "URI:spiffe://demo/worker/1,DNS:localhost", "URI:spiffe://demo/join/1,IP:127.0.0.1",
        "URI:spiffe://demo/worker/1,email:a@b.example", "URI:https://example.com",
        "otherName:1.2.3.4;UTF8:x,URI:spiffe://demo/worker/1"})
    EXPECT_EQ(identity_with(names).error().code, Code::kUnauthenticated) << names;
  EXPECT_EQ(must(identity_with("URI:spiffe://demo/coordinator,DNS:x,IP:127.0.0.1")).kind,
            PeerKind::kCoordinator);
  EXPECT_EQ(identity_of_certificate("rubbish").error().code, Code::kUnauthenticated);
}

}  // namespace
}  // namespace overwinter
