#include "common/security/tls_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "common/security/ca.h"
#include "common/security/file_io.h"
#include "common/security/leaf_store.h"
#include "common/security/process.h"
#include "tests/unit/common/security/identity_server.h"
#include "tests/unit/common/security/temporary_folder.h"
#include "tests/unit/common/security/tls_probe.h"

namespace overwinter {
namespace {

using test::ask;
using test::IdentityServer;
using test::must;
using test::probe;
using test::run_command;
using testing::HasSubstr;

constexpr Duration kDay = std::chrono::hours(24);
Time now() {
  return system_wall_time();
}

Digest pin_of(const CertificateAuthority& ca) {
  return must(parse_digest(ca.root_fingerprint_hex()));
}

CertifiedKey worker_leaf(const CertificateAuthority& ca, const std::string& id, Time at) {
  const std::string key = must(generate_key());
  return {key, must(ca.sign_worker(must(make_csr(key, "x")), id, at))};
}

// A server with a leaf of our choice, made by gRPC's plain call: an impostor our own call would not
// make.
std::shared_ptr<grpc::ServerCredentials> plain_server(const CertifiedKey& leaf) {
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({leaf.key_pem, leaf.cert_chain_pem});
  return grpc::SslServerCredentials(options);
}

class TlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(require_tls13().ok()); }

  TlsTest()
      : ca_(must(CertificateAuthority::create(folder_ / "ca", "demo", now() - 60 * kDay))),
        other_(must(CertificateAuthority::create(folder_ / "other", "demo", now() - 60 * kDay))) {
    install(folder_ / "tls", must(ca_.issue_coordinator({}, now())));
  }
  void install(const std::filesystem::path& dir, const CertifiedKey& leaf) {
    const Status status = install_leaf(dir, leaf, ca_.root_pem(), now());
    ASSERT_TRUE(status.ok()) << status.message;
  }
  std::shared_ptr<grpc::ServerCredentials> workers_port(DenyPeer deny = {},
                                                        NowFunction clock = now) {
    return must(worker_server_credentials({folder_ / "tls", std::move(deny), std::move(clock)}));
  }
  std::shared_ptr<grpc::ChannelCredentials> client(const CertifiedKey& leaf) {
    return must(certified_client_credentials(leaf, ca_.root_pem(), refusal_));
  }
  std::shared_ptr<grpc::ChannelCredentials> person() {
    return must(people_client_credentials(ca_.root_pem(), refusal_));
  }
  std::shared_ptr<grpc::ChannelCredentials> pinned(const Digest& pin, const CertifiedKey& leaf = {},
                                                   const std::string& cluster = {}) {
    return must(pinned_client_credentials(
        {pin, cluster, leaf, [this](const std::string& root) { learned_ = root; }, refusal_}));
  }

  // A leaf as if the issuing CA had been used by another hand: the chain is good, the names are
  // theirs.
  CertifiedKey leaf_named(const std::string& names) {
    const std::string issuing = (folder_ / "ca" / "issuing" / "issuing").string();
    const std::string at = folder_.path().string();
    const auto made = run_command(
        "cd " + at + " && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256" +
        " -nodes -keyout x.key -subj /CN=1 -out x.csr && echo 'subjectAltName=" + names +
        "' > x.ext && openssl x509 -req -in x.csr -CA " + issuing + ".pem -CAkey " + issuing +
        ".key -CAcreateserial -days 1 -extfile x.ext -out x.pem");
    EXPECT_EQ(made.status, 0) << made.output;
    return {must(read_file(folder_ / "x.key", kPemBytesMax)),
            must(read_file(folder_ / "x.pem", kPemBytesMax)) +
                must(read_file(issuing + ".pem", kPemBytesMax))};
  }

  test::TemporaryFolder folder_;
  CertificateAuthority ca_;
  CertificateAuthority other_;
  std::shared_ptr<PeerRefusal> refusal_ = std::make_shared<PeerRefusal>();
  std::string learned_;
};

TEST_F(TlsTest, PersonReachesThePeoplesPortAndHasNoCertificate) {
  const IdentityServer server(must(people_server_credentials(folder_ / "tls")));
  EXPECT_EQ(ask(server.address(), person()), "none");
  EXPECT_EQ(ask(server.address(), grpc::InsecureChannelCredentials()), "UNAVAILABLE");
}

TEST_F(TlsTest, PersonRefusesOtherRootsAndOtherServers) {
  const IdentityServer foreign(plain_server(must(other_.issue_coordinator({}, now()))));
  EXPECT_EQ(ask(foreign.address(), person()), "UNAVAILABLE");

  const IdentityServer impostor(plain_server(worker_leaf(ca_, "3", now())));
  EXPECT_EQ(ask(impostor.address(), person()), "UNAVAILABLE");
  EXPECT_THAT(refusal_->reason(), HasSubstr("the certificate of worker 3"));

  const IdentityServer ended(plain_server(must(ca_.issue_coordinator({}, now() - 59 * kDay))));
  EXPECT_EQ(ask(ended.address(), person()), "none") << "a coordinator's leaf lives for 90 days";
}

TEST_F(TlsTest, CoordinatorOfAnotherClusterUnderTheSameRootIsRefused) {
  const IdentityServer foreign(
      plain_server(leaf_named("URI:spiffe://prod/coordinator,DNS:localhost")));
  EXPECT_EQ(ask(foreign.address(), person()), "UNAVAILABLE");
  EXPECT_THAT(refusal_->reason(), HasSubstr("coordinator of cluster prod, not of demo"));
}

TEST_F(TlsTest, EndedServerCertificateIsRefused) {
  const CertificateAuthority old =
      must(CertificateAuthority::create(folder_ / "old", "demo", now() - 200 * kDay));
  const IdentityServer server(plain_server(must(old.issue_coordinator({}, now() - 100 * kDay))));
  EXPECT_EQ(ask(server.address(), must(people_client_credentials(old.root_pem()))), "UNAVAILABLE");
  EXPECT_EQ(ask(server.address(), pinned(pin_of(old))), "UNAVAILABLE");
  EXPECT_THAT(refusal_->reason(), HasSubstr("certificate has expired"));
}

TEST_F(TlsTest, ServersRefuseToStartWithABadCertificate) {
  EXPECT_EQ(people_server_credentials(folder_ / "nothing").error().code, Code::kNotFound);
  const CertificateAuthority old =
      must(CertificateAuthority::create(folder_ / "old", "demo", now() - 200 * kDay));
  const CertifiedKey leaf = must(old.issue_coordinator({}, now() - 100 * kDay));
  ASSERT_TRUE(install_leaf(folder_ / "ended", leaf, old.root_pem(), now() - 100 * kDay).ok());
  EXPECT_THAT(people_server_credentials(folder_ / "ended").error().message, HasSubstr("ended at"));
  EXPECT_THAT(worker_server_credentials({folder_ / "ended", {}}).error().message,
              HasSubstr("ended at"));
}

TEST_F(TlsTest, WorkersPortKnowsEachKindOfCertificate) {
  const IdentityServer server(workers_port());
  EXPECT_EQ(ask(server.address(), client(worker_leaf(ca_, "17", now()))), "worker 17 of demo");
  EXPECT_EQ(ask(server.address(), client(must(ca_.issue_join("4", now(), kDay)))),
            "join 4 of demo");
  EXPECT_EQ(ask(server.address(), client(must(ca_.issue_coordinator({}, now())))),
            "coordinator of demo");
}

TEST_F(TlsTest, WorkersPortRefusesWhoeverIsNotOurs) {
  const IdentityServer server(workers_port());
  EXPECT_EQ(ask(server.address(), person()), "UNAVAILABLE") << "no certificate";
  EXPECT_EQ(ask(server.address(), client(worker_leaf(other_, "1", now()))), "UNAVAILABLE")
      << "wrong CA";
  EXPECT_EQ(ask(server.address(), client(worker_leaf(ca_, "1", now() - 31 * kDay))), "UNAVAILABLE")
      << "ended";
  EXPECT_EQ(ask(server.address(), client(worker_leaf(ca_, "1", now() + kDay))), "UNAVAILABLE")
      << "not yet good";
  CertifiedKey mixed = worker_leaf(ca_, "1", now());
  mixed.key_pem = must(generate_key());
  EXPECT_EQ(ask(server.address(), client(mixed)), "UNAVAILABLE") << "a key that does not fit";
  EXPECT_FALSE(probe(server.port()).answered);
  EXPECT_EQ(ask(server.address(), client(worker_leaf(ca_, "1", now()))), "worker 1 of demo")
      << "the port still stands";
}

TEST_F(TlsTest, WorkersPortRefusesForeignNamesUnderItsOwnRoot) {
  const IdentityServer server(workers_port());
  EXPECT_EQ(ask(server.address(), client(leaf_named("URI:spiffe://demo/worker/1"))),
            "worker 1 of demo");
  for (const char* names :
       {"URI:spiffe://prod/worker/1", "URI:spiffe://demo/worker/1,URI:spiffe://demo/coordinator",
        "URI:spiffe://demo/worker/1,DNS:localhost", "DNS:localhost", "URI:spiffe://demo/person/1"})
    EXPECT_EQ(ask(server.address(), client(leaf_named(names))), "UNAVAILABLE") << names;
}

TEST_F(TlsTest, DeniedPeersAreRefusedOnResumedSessionsToo) {
  std::atomic<bool> revoked = false;
  const IdentityServer server(
      workers_port([&](const PeerIdentity& peer) { return revoked && numeric_id(peer) == 17; }));
  const CertifiedKey leaf = worker_leaf(ca_, "17", now());
  const test::ProbeResult first = probe(server.port(), &leaf);
  ASSERT_TRUE(first.answered);
  ASSERT_TRUE(first.session);
  const test::ProbeResult second = probe(server.port(), &leaf, first.session);
  EXPECT_TRUE(second.resumed) << "the case to be shown: a session that skips the chain";
  EXPECT_TRUE(second.answered);
  revoked = true;
  EXPECT_FALSE(probe(server.port(), &leaf, first.session).answered);
  EXPECT_FALSE(probe(server.port(), &leaf).answered);
  EXPECT_EQ(ask(server.address(), client(leaf)), "UNAVAILABLE");
  EXPECT_EQ(ask(server.address(), client(worker_leaf(ca_, "18", now()))), "worker 18 of demo");
}

TEST_F(TlsTest, SessionsDoNotOutliveTheirCertificate) {
  std::atomic<std::int64_t> ahead_days = 0;
  const IdentityServer server(workers_port({}, [&] { return now() + ahead_days.load() * kDay; }));
  const CertifiedKey leaf = must(ca_.issue_join("5", now(), kDay));
  const test::ProbeResult first = probe(server.port(), &leaf);
  ASSERT_TRUE(first.session);
  EXPECT_TRUE(probe(server.port(), &leaf, first.session).answered);
  ahead_days = 2;
  EXPECT_FALSE(probe(server.port(), &leaf, first.session).answered);
}

TEST_F(TlsTest, JoiningByPin) {
  const IdentityServer server(workers_port());
  const CertifiedKey join = must(ca_.issue_join("4", now(), kDay));
  EXPECT_EQ(ask(server.address(), pinned(pin_of(ca_), join, "demo")), "join 4 of demo");
  EXPECT_EQ(must(certificate_fingerprint_hex(learned_)), ca_.root_fingerprint_hex());
  EXPECT_EQ(refusal_->reason(), "");

  learned_.clear();
  EXPECT_EQ(ask(server.address(), pinned(pin_of(other_), join)), "UNAVAILABLE") << "wrong pin";
  EXPECT_THAT(refusal_->reason(), HasSubstr(other_.root_fingerprint_hex()));
  EXPECT_EQ(ask(server.address(), pinned(pin_of(ca_), join, "prod")), "UNAVAILABLE")
      << "wrong cluster";
  EXPECT_THAT(refusal_->reason(), HasSubstr("cluster demo, not of prod"));
  EXPECT_EQ(learned_, "");
}

TEST_F(TlsTest, LoginByPinShowsNoCertificate) {
  const IdentityServer server(must(people_server_credentials(folder_ / "tls")));
  EXPECT_EQ(ask(server.address(), pinned(pin_of(ca_))), "none");
  EXPECT_EQ(learned_, ca_.root_pem());
}

TEST_F(TlsTest, PinIsNotSatisfiedByCarryingTheRootAlone) {
  // The root is public: an impostor can add it to a chain of its own.
  CertifiedKey impostor = must(other_.issue_coordinator({}, now()));
  impostor.cert_chain_pem += ca_.root_pem();
  const IdentityServer foreign(plain_server(impostor));
  EXPECT_EQ(ask(foreign.address(), pinned(pin_of(ca_))), "UNAVAILABLE");
  EXPECT_THAT(refusal_->reason(), HasSubstr("not good for this cluster"));

  // Nor by a worker's certificate under the right root.
  CertifiedKey worker = worker_leaf(ca_, "6", now());
  worker.cert_chain_pem += ca_.root_pem();
  const IdentityServer wrong_kind(plain_server(worker));
  EXPECT_EQ(ask(wrong_kind.address(), pinned(pin_of(ca_))), "UNAVAILABLE");
  EXPECT_THAT(refusal_->reason(), HasSubstr("the certificate of worker 6"));
}

TEST_F(TlsTest, WorkerDialsFromItsFolderAndChecksItFirst) {
  const IdentityServer server(workers_port());
  install(folder_ / "worker", worker_leaf(ca_, "8", now()));
  EXPECT_EQ(ask(server.address(), must(worker_client_credentials(folder_ / "worker"))),
            "worker 8 of demo");
  const CertifiedKey ended = worker_leaf(ca_, "9", now() - 40 * kDay);
  ASSERT_TRUE(install_leaf(folder_ / "ended", ended, ca_.root_pem(), now() - 40 * kDay).ok());
  const auto refused = worker_client_credentials(folder_ / "ended");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("ended at"));
  EXPECT_THAT(refused.error().hint, HasSubstr("join again"));
}

TEST_F(TlsTest, NewLeafIsTakenUpWithoutARestart) {
  const IdentityServer server(must(people_server_credentials(folder_ / "tls")));
  const CertifiedKey next = must(ca_.issue_coordinator({}, now()));
  const std::string before = must(certificate_fingerprint_hex(probe(server.port()).certificate));
  install(folder_ / "tls", next);
  const std::string expected = must(certificate_fingerprint_hex(next.cert_chain_pem));
  ASSERT_NE(before, expected);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  std::string shown;
  while (shown != expected && std::chrono::steady_clock::now() < limit) {
    const test::ProbeResult seen = probe(server.port());
    ASSERT_TRUE(seen.handshake) << "no handshake may fail meanwhile";
    shown = must(certificate_fingerprint_hex(seen.certificate));
  }
  EXPECT_EQ(shown, expected);
}

TEST_F(TlsTest, OnlyTls13IsSpoken) {
  const IdentityServer server(must(people_server_credentials(folder_ / "tls")));
  const std::string dial = "openssl s_client -alpn h2 -connect " + server.address() + " ";
  const test::CommandResult new_version = run_command(dial + "-tls1_3 </dev/null");
  EXPECT_EQ(new_version.status, 0) << new_version.output;
  EXPECT_THAT(new_version.output, HasSubstr("New, TLSv1.3, Cipher is TLS_AES"));
  const test::CommandResult old_version = run_command(dial + "-tls1_2 </dev/null");
  EXPECT_NE(old_version.status, 0);
  EXPECT_THAT(old_version.output, HasSubstr("New, (NONE), Cipher is (NONE)"));
}

}  // namespace
}  // namespace overwinter
