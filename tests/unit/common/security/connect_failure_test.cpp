#include "common/security/connect_failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/security/ca.h"
#include "common/security/leaf_store.h"
#include "tests/unit/common/security/identity_server.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using testing::HasSubstr;

// What gRPC really says, each time.
TEST(ConnectFailureTest, RealFailuresAreExplained) {
  const test::TemporaryFolder folder;
  const Time now = system_wall_time();
  const CertificateAuthority ca = must(CertificateAuthority::create(folder / "ca", "demo", now));
  const CertificateAuthority other =
      must(CertificateAuthority::create(folder / "other", "demo", now));
  ASSERT_TRUE(must(keep_coordinator_leaf(ca, folder / "tls", {}, now)));
  test::IdentityServer server(must(people_server_credentials(folder / "tls")));
  const auto said = [&](const std::string& address,
                        std::shared_ptr<grpc::ChannelCredentials> credentials) {
    std::string message;
    EXPECT_EQ(test::ask(address, std::move(credentials), &message), "UNAVAILABLE");
    return explain_connect_failure(message);
  };
  EXPECT_THAT(said(server.address(), must(people_client_credentials(other.root_pem()))),
              HasSubstr("not of this cluster"));
  const std::string by_pin =
      said(server.address(), must(pinned_client_credentials({Digest{}, "", {}, {}, {}})));
  EXPECT_TRUE(by_pin.starts_with("the server does not belong to this cluster")) << by_pin;
  const std::string address = server.address();
  server.stop();
  EXPECT_EQ(said(address, must(people_client_credentials(ca.root_pem()))), "nothing listens there");

  const test::IdentityServer plain(grpc::InsecureServerCredentials());
  EXPECT_THAT(said(plain.address(), must(people_client_credentials(ca.root_pem()))),
              HasSubstr("another program's port"));
}

TEST(ConnectFailureTest, AHandlersOwnWordsAreLeftAlone) {
  EXPECT_EQ(explain_connect_failure("the disk said: Connection refused"), "");
  EXPECT_EQ(explain_connect_failure(""), "");
}

}  // namespace
}  // namespace overwinter
