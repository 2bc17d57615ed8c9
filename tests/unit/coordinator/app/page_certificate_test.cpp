// Pairs as openssl makes them, and as people mix them up.
#include "coordinator/app/page_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/security/tls_credentials.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter::app {
namespace {

using test::must;
using testing::HasSubstr;

constexpr Duration kDay = std::chrono::hours(24);

class PageCertificateTest : public testing::Test {
 protected:
  // A self-signed certificate of 90 days from today, and its key: NAME.pem, NAME.key.
  PageCertificateFiles make(const std::string& name, const std::string& names,
                            const std::string& more = {}) {
    const PageCertificateFiles files{folder_ / (name + ".pem"), folder_ / (name + ".key")};
    const auto done = test::run_command(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=x"
        " -addext subjectAltName=" +
        names + " " + more + " -keyout " + files.key.string() + " -out " +
        files.certificate.string());
    EXPECT_EQ(done.status, 0) << done.output;
    ::chmod(files.key.c_str(), 0600);
    return files;
  }
  [[nodiscard]] Result<PageCertificate> read(const PageCertificateFiles& files,
                                             Duration later = Duration(0)) const {
    return read_page_certificate(files, hosts_, now_ + later);
  }
  // One sentence that names the option.
  void refused(const PageCertificateFiles& files, const std::string& option,
               const std::string& text, Duration later = Duration(0)) const {
    const auto found = read(files, later);
    ASSERT_FALSE(found.has_value()) << text;
    EXPECT_EQ(found.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(found.error().field, option);
    EXPECT_THAT(found.error().message, testing::StartsWith(option + " /"));
    EXPECT_THAT(found.error().message, HasSubstr(text));
    EXPECT_EQ(found.error().message.find('\n'), std::string::npos);
  }

  const test::TemporaryFolder folder_;
  const std::vector<std::string> hosts_ = {"head.example", "10.1.2.3", "localhost"};
  const Time now_ = system_wall_time() + std::chrono::minutes(1);
};

TEST_F(PageCertificateTest, AGoodPairSaysByWhichHostThePageIsReached) {
  const PageCertificate good = must(read(make("good", "DNS:other.example,DNS:head.example")));
  EXPECT_EQ(good.host, "head.example");
  EXPECT_EQ(good.warning, "");
  EXPECT_GT(good.not_after, now_ + 80 * kDay);
  EXPECT_THAT(good.pem.cert_chain_pem, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(good.pem.key_pem, HasSubstr("PRIVATE KEY"));
  EXPECT_EQ(must(read_page_certificate(make("star", "DNS:*.team.example"),
                                       {"other.example", "head.team.example"}, now_))
                .host,
            "head.team.example");
  EXPECT_EQ(must(read(make("address", "IP:10.1.2.3"))).host, "10.1.2.3");
}

TEST_F(PageCertificateTest, WhatDoesNotFitIsNamedByItsOption) {
  const PageCertificateFiles good = make("good", "DNS:head.example");
  const PageCertificateFiles other = make("other", "DNS:head.example");
  refused({folder_ / "none.pem", good.key}, "--dashboard-cert", "none.pem");
  refused({good.certificate, folder_ / "none.key"}, "--dashboard-key", "none.key");
  refused({good.certificate, other.key}, "--dashboard-key", "is not the private key of");
  refused({good.key, good.key}, "--dashboard-cert", "not a certificate in PEM");
  refused({good.certificate, good.certificate}, "--dashboard-key", "is not the private key of");
  refused({folder_.path(), good.key}, "--dashboard-cert", "not a regular file");
  const auto locked = folder_ / "locked.key";
  ASSERT_EQ(test::run_command("openssl pkey -in " + good.key.string() +
                              " -aes256 -passout pass:word -out " + locked.string())
                .status,
            0);
  refused({good.certificate, locked}, "--dashboard-key", "is not the private key of");
  refused(make("strange", "DNS:page.example"), "--dashboard-cert", "it names page.example, and");
  refused(make("client", "DNS:head.example", "-addext extendedKeyUsage=clientAuth"),
          "--dashboard-cert", "usages");
  refused(good, "--dashboard-cert", "it ended at", 100 * kDay);
  refused(good, "--dashboard-cert", "only from", -2 * kDay);
}

TEST_F(PageCertificateTest, AnEndThatIsNearAndAKeyThatOthersReadAreSaid) {
  const PageCertificateFiles files = make("good", "DNS:head.example");
  EXPECT_THAT(must(read(files, 80 * kDay)).warning, HasSubstr("--dashboard-cert"));
  EXPECT_EQ(must(read(files, 70 * kDay)).warning, "");
  ::chmod(files.key.c_str(), 0640);
  EXPECT_THAT(must(read(files)).warning, HasSubstr("chmod 600"));
}

}  // namespace
}  // namespace overwinter::app
