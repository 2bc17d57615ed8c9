#include "common/security/ca.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "common/base/clock.h"
#include "common/security/file_io.h"
#include "common/security/identity.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

namespace fs = std::filesystem;
using test::must;
using test::run_command;
using testing::HasSubstr;
using testing::Not;

Time now() {
  return Time(system_clock().wall());
}
constexpr Duration kDay = std::chrono::hours(24);

std::string mode_of(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "none";
  return fmt::format("{:o}", info.st_mode & 07777);
}

class CaTest : public testing::Test {
 protected:
  // gRPC reads the same thread's error queue: what we leave there would break someone's connection.
  void TearDown() override { EXPECT_EQ(ERR_peek_error(), 0u); }

  CertificateAuthority make(Time at = now(), const std::string& cluster = "demo") {
    return must(CertificateAuthority::create(folder_ / "ca", cluster, at));
  }
  // What `openssl x509 -text` says of the first certificate of a chain.
  std::string text_of(const std::string& chain) {
    const fs::path file = folder_.put("shown.pem", chain);
    return run_command("openssl x509 -noout -text -in " + file.string()).output;
  }
  // `openssl verify` of a chain (its first certificate, the rest untrusted) under a root.
  test::CommandResult verify(const std::string& chain, const std::string& root,
                             const std::string& purpose) {
    const fs::path leaf = folder_.put("leaf.pem", chain);
    const fs::path ca = folder_.put("root.pem", root);
    return run_command("openssl verify -x509_strict -purpose " + purpose + " -CAfile " +
                       ca.string() + " -no-CApath -no-CAstore -untrusted " + leaf.string() + " " +
                       leaf.string());
  }
  std::string csr_of(const std::string& key) { return must(make_csr(key, "whatever")); }

  test::TemporaryFolder folder_;
};

TEST_F(CaTest, WorkerLeafIsWhatTheRulesSayInOpensslsEyes) {
  const CertificateAuthority ca = make();
  const std::string key = must(generate_key());
  const std::string chain = must(ca.sign_worker(csr_of(key), "17", now()));
  const std::string text = text_of(chain);
  EXPECT_THAT(text, HasSubstr("Subject: CN = 17\n"));
  EXPECT_THAT(
      text, HasSubstr("Subject Alternative Name: \n                URI:spiffe://demo/worker/17\n"));
  EXPECT_THAT(text, Not(HasSubstr("DNS:")));
  EXPECT_THAT(text, HasSubstr("TLS Web Server Authentication, TLS Web Client Authentication\n"));
  EXPECT_THAT(text, HasSubstr("X509v3 Basic Constraints: critical\n                CA:FALSE\n"));
  EXPECT_THAT(text, HasSubstr("NIST CURVE: P-256"));
  EXPECT_THAT(text, HasSubstr("Signature Algorithm: ecdsa-with-SHA256"));
  EXPECT_EQ(verify(chain, ca.root_pem(), "sslclient").status, 0);
  EXPECT_EQ(verify(chain, ca.root_pem(), "sslserver").status, 0);
}

TEST_F(CaTest, DatesBeginAnHourBackAndEndAfterThirtyDays) {
  const Time at = must(parse_time("2026-11-24T10:00:00Z"));
  const CertificateAuthority ca = make(at);
  const std::string chain = must(ca.sign_worker(csr_of(must(generate_key())), "1", at));
  const fs::path file = folder_.put("leaf.pem", chain);
  const std::string dates = run_command("openssl x509 -noout -dates -in " + file.string()).output;
  EXPECT_EQ(dates, "notBefore=Nov 24 09:00:00 2026 GMT\nnotAfter=Dec 24 10:00:00 2026 GMT\n");
  EXPECT_FALSE(due_for_renewal(chain, at + 9 * kDay));
  EXPECT_TRUE(due_for_renewal(chain, at + 11 * kDay));
}

TEST_F(CaTest, RequestsContributeTheirKeyAndNothingElse) {
  const CertificateAuthority ca = make();
  // A request of openssl's own, which asks for far too much.
  const fs::path key = folder_ / "k.pem";
  const fs::path csr = folder_ / "r.pem";
  const test::CommandResult made =
      run_command("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout " +
                  key.string() + " -out " + csr.string() +
                  " -subj /CN=coordinator/O=Evil -addext "
                  "subjectAltName=URI:spiffe://demo/coordinator,DNS:bank.example"
                  " -addext basicConstraints=critical,CA:TRUE");
  ASSERT_EQ(made.status, 0) << made.output;
  const std::string text =
      text_of(must(ca.sign_worker(must(read_file(csr, kPemBytesMax)), "5", now())));
  EXPECT_THAT(text, HasSubstr("Subject: CN = 5\n"));
  EXPECT_THAT(text, HasSubstr("URI:spiffe://demo/worker/5\n"));
  EXPECT_THAT(text, HasSubstr("NIST CURVE: P-384"));
  EXPECT_THAT(text, HasSubstr("CA:FALSE"));
  for (const char* wish : {"bank.example", "Evil", "CA:TRUE", "spiffe://demo/coordinator"})
    EXPECT_THAT(text, Not(HasSubstr(wish)));
}

TEST_F(CaTest, BadRequestsAndIdsAreRefused) {
  const CertificateAuthority ca = make();
  const std::string good = csr_of(must(generate_key()));
  for (const std::string& bad : {std::string(), std::string("x"), std::string(100'000, 'A'),
                                 ca.root_pem(), good.substr(0, good.size() / 2)})
    EXPECT_EQ(ca.sign_worker(bad, "1", now()).error().code, Code::kInvalidArgument);
  for (const char* id : {"", "../x", "a/b", "a,DNS:x", ".x", "ä",
                         "12345678901234567890123456789012345678901234567890123456789012345"})
    EXPECT_EQ(ca.sign_worker(good, id, now()).error().code, Code::kInvalidArgument) << id;

  const fs::path rsa = folder_ / "rsa.pem";
  ASSERT_EQ(
      run_command("openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=x -out " +
                  rsa.string())
          .status,
      0);
  EXPECT_THAT(ca.sign_worker(must(read_file(rsa, kPemBytesMax)), "1", now()).error().message,
              HasSubstr("P-256"));
}

TEST_F(CaTest, RequestNotSignedByItsOwnKeyIsRefused) {
  const CertificateAuthority ca = make();
  const fs::path csr = folder_.put("r.pem", csr_of(must(generate_key())));
  const fs::path der = folder_ / "r.der";
  ASSERT_EQ(
      run_command("openssl req -in " + csr.string() + " -outform DER -out " + der.string()).status,
      0);
  std::string bytes = must(read_file(der, kPemBytesMax));
  const std::size_t name = bytes.find("whatever");
  ASSERT_NE(name, std::string::npos);
  bytes[name] = 'W';  // the signature no longer fits
  folder_.put("r.der", bytes);
  ASSERT_EQ(
      run_command("openssl req -inform DER -in " + der.string() + " -out " + csr.string()).status,
      0);
  const Result<std::string> signed_leaf =
      ca.sign_worker(must(read_file(csr, kPemBytesMax)), "1", now());
  ASSERT_FALSE(signed_leaf);
  EXPECT_THAT(signed_leaf.error().message, HasSubstr("not signed by its own key"));
}

TEST_F(CaTest, MangledRequestsAndCertificatesAreRefusedQuietly) {
  const CertificateAuthority ca = make();
  const std::string key = must(generate_key());
  const std::string csr = csr_of(key);
  const std::string chain = must(ca.sign_worker(csr, "1", now()));
  std::mt19937 random(1);  // NOLINT: the same mangling each time
  int signed_after_all = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string mangled = csr;
    mangled[random() % mangled.size()] = static_cast<char>(random());
    if (ca.sign_worker(mangled, "1", now())) ++signed_after_all;
    std::string certificate = chain;
    certificate[random() % certificate.size()] = static_cast<char>(random());
    const Result<PeerIdentity> identity = identity_of_certificate(certificate);
    if (identity && check_chain(certificate, ca.root_pem(), TlsSide::kClient, now()).ok()) {
      EXPECT_EQ(identity->id, "1") << certificate;
    }
    ASSERT_EQ(ERR_peek_error(), 0u) << mangled << certificate;
  }
  // A change that means nothing (a line end, the dashes' neighbours) may pass; the key is the same
  // then.
  EXPECT_LT(signed_after_all, 60);
}

TEST_F(CaTest, CoordinatorLeafHasItsUriAndItsHosts) {
  const CertificateAuthority ca = make();
  const std::vector<std::string> names = {"cluster.example", "10.0.0.7", "localhost",
                                          "2001:db8::7"};
  const CertifiedKey leaf = must(ca.issue_coordinator(names, now()));
  EXPECT_THAT(text_of(leaf.cert_chain_pem),
              HasSubstr("URI:spiffe://demo/coordinator, DNS:localhost, IP Address:127.0.0.1, "
                        "IP Address:0:0:0:0:0:0:0:1, DNS:cluster.example, IP Address:10.0.0.7, "
                        "IP Address:2001:DB8:0:0:0:0:0:7\n"));
  EXPECT_EQ(verify(leaf.cert_chain_pem, ca.root_pem(), "sslserver").status, 0);
  EXPECT_THAT(leaf.cert_chain_pem, HasSubstr(ca.root_pem()))
      << "who joins finds the pinned root in it";
  EXPECT_TRUE(check_certified_key(leaf, ca.root_pem(), now()).ok());
  for (const char* bad : {"a b", "x,DNS:y", "-x", ""}) {
    const std::vector<std::string> wrong = {bad};
    EXPECT_EQ(ca.issue_coordinator(wrong, now()).error().code, Code::kInvalidArgument) << bad;
  }
}

TEST_F(CaTest, JoinLeafIsForClientsOnly) {
  const CertificateAuthority ca = make();
  const CertifiedKey leaf = must(ca.issue_join("9", now(), kDay));
  const std::string text = text_of(leaf.cert_chain_pem);
  EXPECT_THAT(text, HasSubstr("URI:spiffe://demo/join/9\n"));
  EXPECT_THAT(text, HasSubstr("TLS Web Client Authentication\n"));
  EXPECT_THAT(text, Not(HasSubstr("TLS Web Server Authentication")));
  EXPECT_EQ(verify(leaf.cert_chain_pem, ca.root_pem(), "sslclient").status, 0);
  EXPECT_NE(verify(leaf.cert_chain_pem, ca.root_pem(), "sslserver").status, 0);
  EXPECT_FALSE(ca.issue_join("9", now(), Duration(0)));
  EXPECT_FALSE(ca.issue_join("9", now(), 400 * kDay));
}

TEST_F(CaTest, OtherClustersRootDoesNotVerify) {
  const CertificateAuthority ca = make();
  const CertificateAuthority other =
      must(CertificateAuthority::create(folder_ / "other", "demo", now()));
  const CertifiedKey leaf = must(other.issue_join("9", now(), kDay));
  EXPECT_NE(verify(leaf.cert_chain_pem, ca.root_pem(), "sslclient").status, 0);
  EXPECT_EQ(check_chain(leaf.cert_chain_pem, ca.root_pem(), TlsSide::kClient, now()).code,
            Code::kUnauthenticated);
  EXPECT_TRUE(check_chain(leaf.cert_chain_pem, other.root_pem(), TlsSide::kClient, now()).ok());
  EXPECT_FALSE(check_chain(leaf.cert_chain_pem, other.root_pem(), TlsSide::kServer, now()).ok());
}

TEST_F(CaTest, FingerprintIsOpensslsAndTheRootNamesItsCluster) {
  const CertificateAuthority ca = make(now(), "team-7.example");
  const fs::path file = folder_.put("root.pem", ca.root_pem());
  std::string shown =
      run_command("openssl x509 -noout -fingerprint -sha256 -in " + file.string()).output;
  shown = shown.substr(shown.find('=') + 1);
  std::erase_if(shown, [](char c) { return c == ':' || c == '\n'; });
  for (char& c : shown) c = static_cast<char>(std::tolower(c));
  EXPECT_EQ(ca.root_fingerprint_hex(), shown);
  EXPECT_EQ(must(certificate_fingerprint_hex(ca.root_pem())), shown);
  EXPECT_EQ(must(cluster_of_root(ca.root_pem())), "team-7.example");
  EXPECT_FALSE(cluster_of_root(must(ca.issue_join("1", now(), kDay)).cert_chain_pem));
  for (const char* bad : {"", "Demo", "a b", "-a", "a-", "x/y"})
    EXPECT_FALSE(CertificateAuthority::create(folder_ / "bad", bad, now())) << bad;
}

TEST_F(CaTest, FolderIsPrivateAndOpensAgain) {
  const fs::path dir = folder_ / "ca";
  std::string root;
  {
    const CertificateAuthority ca = make();
    root = ca.root_pem();
  }
  EXPECT_EQ(mode_of(dir), "700");
  EXPECT_EQ(mode_of(dir / "root.key"), "600");
  EXPECT_EQ(mode_of(dir / "issuing" / "issuing.key"), "600");
  const CertificateAuthority again = must(CertificateAuthority::open(dir));
  EXPECT_EQ(again.root_pem(), root);
  EXPECT_EQ(again.cluster(), "demo");
  EXPECT_EQ(CertificateAuthority::create(dir, "demo", now()).error().code, Code::kAlreadyExists);
  EXPECT_EQ(CertificateAuthority::open(folder_ / "nothing").error().code, Code::kNotFound);
  std::set<std::string> entries;
  for (const auto& entry : fs::directory_iterator(folder_.path()))
    entries.insert(entry.path().filename());
  EXPECT_EQ(entries, std::set<std::string>{"ca"}) << "no temporary folder stays";
}

TEST_F(CaTest, FolderOpenToOthersOrWithForeignPartsIsRefused) {
  const fs::path dir = folder_ / "ca";
  { const CertificateAuthority ca = make(); }
  ::chmod(dir.c_str(), 0750);
  EXPECT_THAT(CertificateAuthority::open(dir).error().hint, HasSubstr("chmod 700"));
  ::chmod(dir.c_str(), 0700);
  const CertificateAuthority other =
      must(CertificateAuthority::create(folder_ / "other", "demo", now()));
  const std::string issuing = must(read_file(dir / "issuing" / "issuing.pem", kPemBytesMax));
  ASSERT_TRUE(write_file_atomically(
                  dir / "issuing" / "issuing.pem",
                  must(read_file(folder_ / "other" / "issuing" / "issuing.pem", kPemBytesMax)))
                  .ok());
  EXPECT_THAT(CertificateAuthority::open(dir).error().message, HasSubstr("does not belong"));
  ASSERT_TRUE(write_file_atomically(dir / "issuing" / "issuing.pem", issuing).ok());
  ASSERT_TRUE(write_file_atomically(dir / "root.pem", other.root_pem()).ok());
  EXPECT_THAT(CertificateAuthority::open(dir).error().message, HasSubstr("not signed by the root"));
}

TEST_F(CaTest, LeavesEndWithTheirIssuerWhichRenewsWhileTheRootsKeyIsThere) {
  const Time at = now();
  CertificateAuthority ca = make(at);
  EXPECT_EQ(unix_ms(ca.issuing_not_after()) / 1000, unix_ms(at + kIssuingLife) / 1000);
  EXPECT_FALSE(ca.issuing_due(at + 300 * kDay));
  EXPECT_TRUE(ca.issuing_due(at + 310 * kDay));
  const std::string late = must(ca.sign_worker(csr_of(must(generate_key())), "1", at + 350 * kDay));
  EXPECT_EQ(must(read_certificate(late)).not_after, ca.issuing_not_after());
  EXPECT_FALSE(ca.sign_worker(csr_of(must(generate_key())), "1", at + 366 * kDay));

  const fs::path key = folder_ / "ca" / "root.key";
  fs::rename(key, folder_ / "away");
  EXPECT_THAT(ca.renew_issuing(at + 310 * kDay).hint, HasSubstr("root.key"));
  fs::rename(folder_ / "away", key);
  ASSERT_TRUE(ca.renew_issuing(at + 310 * kDay).ok());
  EXPECT_FALSE(ca.issuing_due(at + 320 * kDay));
  const std::string next = must(ca.sign_worker(csr_of(must(generate_key())), "1", at + 366 * kDay));
  EXPECT_TRUE(check_chain(next, ca.root_pem(), TlsSide::kClient, at + 370 * kDay).ok());
  EXPECT_TRUE(check_chain(late, ca.root_pem(), TlsSide::kClient, at + 360 * kDay).ok())
      << "leaves of the issuer before stay good";
  EXPECT_EQ(must(CertificateAuthority::open(folder_ / "ca")).issuing_not_after(),
            ca.issuing_not_after());
}

TEST_F(CaTest, CheckSaysWhatIsWrongWithACertificate) {
  const Time at = must(parse_time("2026-11-24T10:00:00Z"));
  const CertificateAuthority ca = make(at);
  const std::string key = must(generate_key());
  const CertifiedKey leaf{key, must(ca.sign_worker(csr_of(key), "1", at))};
  EXPECT_TRUE(check_certified_key(leaf, ca.root_pem(), at).ok());
  EXPECT_THAT(check_certified_key(leaf, ca.root_pem(), at + 31 * kDay).message,
              HasSubstr("ended at 2026-12-24T10:00:00"));
  EXPECT_THAT(check_certified_key(leaf, ca.root_pem(), at - kDay).message,
              HasSubstr("good from 2026-11-24T09:00:00"));
  const CertifiedKey mixed{must(generate_key()), leaf.cert_chain_pem};
  EXPECT_THAT(check_certified_key(mixed, ca.root_pem(), at).message, HasSubstr("does not belong"));
  const CertificateAuthority other =
      must(CertificateAuthority::create(folder_ / "other", "demo", at));
  EXPECT_THAT(check_certified_key(leaf, other.root_pem(), at).message,
              HasSubstr("not good for this"));
}

TEST_F(CaTest, SerialNumbersDiffer) {
  const CertificateAuthority ca = make();
  std::set<std::string> serials;
  for (int i = 0; i < 20; ++i) {
    const std::string text = text_of(must(ca.issue_join("1", now(), kDay)).cert_chain_pem);
    const std::size_t at = text.find("Serial Number:");
    serials.insert(text.substr(at, text.find("Signature", at) - at));
  }
  EXPECT_EQ(serials.size(), 20u);
}

}  // namespace
}  // namespace overwinter
