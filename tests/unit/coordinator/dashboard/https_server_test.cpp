// Which certificate is shown to whom, asked by openssl's own client.
#include "coordinator/dashboard/https_server.h"

#include <gtest/gtest.h>

#include "common/security/ca.h"
#include "common/security/coordinator_peer.h"
#include "common/security/https_probe.h"
#include "common/security/tls_credentials.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter::dashboard {
namespace {

using test::must;

class HttpsServerTest : public testing::Test {
 protected:
  CertifiedKey certificate(const std::string& name) const {
    return must(authority_.issue_coordinator(std::vector{name}, system_wall_time()));
  }
  static std::unique_ptr<HttpsServer> serve(const HttpsCertificates& certificates) {
    HttpsConfig config;
    config.address = "127.0.0.1:0";
    config.certificates = certificates;
    return must(HttpsServer::start(
        config, [](const Request&, const HttpsServer::Done& done) { done(as_text("well\n")); }));
  }
  // As `openssl x509` prints it.
  static std::string shown(const HttpsServer& server, const std::string& asked) {
    const std::string name = asked.empty() ? "-noservername" : "-servername " + asked;
    return test::run_command(
               "openssl s_client -connect 127.0.0.1:" + std::to_string(server.port()) + " " + name +
               " < /dev/null 2> /dev/null | openssl x509 -noout -ext subjectAltName")
        .output;
  }
  static bool names(const std::string& text, const std::string& name) {
    return text.find("DNS:" + name) != std::string::npos;
  }

  const test::TemporaryFolder folder_;
  const CertificateAuthority authority_ =
      must(CertificateAuthority::create(folder_ / "ca", "demo", system_wall_time()));
};

TEST_F(HttpsServerTest, WithoutAnotherEverybodyIsShownTheClusters) {
  const auto server = serve({certificate("cluster.example"), std::nullopt});
  for (const char* asked : {"", "cluster.example", "other.example", kCoordinatorServerName}) {
    EXPECT_TRUE(names(shown(*server, asked), "cluster.example")) << asked;
  }
}

TEST_F(HttpsServerTest, OurOwnClientIsShownTheClustersAndBrowsersTheOperators) {
  const auto server = serve({certificate("cluster.example"), certificate("page.example")});
  for (const char* asked : {"", "page.example", "cluster.example"}) {
    EXPECT_TRUE(names(shown(*server, asked), "page.example")) << asked;
  }
  EXPECT_TRUE(names(shown(*server, kCoordinatorServerName), "cluster.example"));
}

TEST_F(HttpsServerTest, ProbesOfOwnPortsCareForNoCertificate) {
  const auto server = serve({certificate("cluster.example"), certificate("page.example")});
  const std::string port = std::to_string(server->port());
  EXPECT_TRUE(takes_connections("127.0.0.1", port, Duration(5000)).ok());
  EXPECT_EQ(must(https_probe("127.0.0.1", port, "/readyz", Duration(5000))), "HTTP/1.1 200 OK");
}

TEST_F(HttpsServerTest, ANewOneIsTakenUpAndOneThatDoesNotFitIsNot) {
  HttpsCertificates certificates{certificate("cluster.example"), certificate("page.example")};
  const auto server = serve(certificates);
  certificates.shown = certificate("renewed.example");
  certificates.own = certificate("cluster-too.example");
  EXPECT_TRUE(server->use(certificates).ok());
  EXPECT_TRUE(names(shown(*server, "page.example"), "renewed.example"));
  EXPECT_TRUE(names(shown(*server, kCoordinatorServerName), "cluster-too.example"));
  certificates.shown->key_pem = certificates.own.key_pem;
  const Status refused = server->use(certificates);
  EXPECT_EQ(refused.code, Code::kFailedPrecondition);
  EXPECT_TRUE(names(shown(*server, "page.example"), "renewed.example"));
  certificates.shown.reset();
  EXPECT_TRUE(server->use(certificates).ok());
  EXPECT_TRUE(names(shown(*server, "page.example"), "cluster-too.example"));
}

}  // namespace
}  // namespace overwinter::dashboard
