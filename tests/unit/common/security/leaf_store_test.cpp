#include "common/security/leaf_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/security/ca.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using testing::HasSubstr;

const Time kNow = time_from_unix_ms(1'795'600'000'000);
constexpr Duration kDay = std::chrono::hours(24);

TEST(LeafStoreTest, OnlyAGoodLeafReplacesTheOneThatIsThere) {
  const test::TemporaryFolder folder;
  const CertificateAuthority ca = must(CertificateAuthority::create(folder / "ca", "demo", kNow));
  const CertifiedKey first = must(ca.issue_coordinator({}, kNow));
  const auto dir = folder / "tls";
  EXPECT_EQ(load_leaf(dir).error().code, Code::kNotFound);
  ASSERT_TRUE(install_leaf(dir, first, ca.root_pem(), kNow).ok());

  CertifiedKey mixed = must(ca.issue_coordinator({}, kNow));
  mixed.key_pem = first.key_pem;
  EXPECT_THAT(install_leaf(dir, mixed, ca.root_pem(), kNow).message, HasSubstr("does not belong"));
  const CertifiedKey second = must(ca.issue_coordinator({}, kNow));
  EXPECT_THAT(install_leaf(dir, second, ca.root_pem(), kNow + 100 * kDay).message,
              HasSubstr("ended at"));
  EXPECT_EQ(must(load_leaf(dir)).leaf.cert_chain_pem, first.cert_chain_pem) << "the old one stays";

  ASSERT_TRUE(install_leaf(dir, second, ca.root_pem(), kNow).ok());
  const Leaf loaded = must(load_leaf(dir));
  EXPECT_EQ(loaded.leaf.cert_chain_pem, second.cert_chain_pem);
  EXPECT_EQ(loaded.leaf.key_pem, second.key_pem);
  EXPECT_EQ(loaded.root_pem, ca.root_pem());
  struct stat info {};
  ASSERT_EQ(::stat(leaf_paths(dir).key.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(LeafStoreTest, CoordinatorsLeafIsKeptFresh) {
  const test::TemporaryFolder folder;
  const CertificateAuthority ca = must(CertificateAuthority::create(folder / "ca", "demo", kNow));
  const auto dir = folder / "tls";
  const std::vector<std::string> names = {"cluster.example", "2001:DB8::7"};
  const auto shown = [&] { return must(load_leaf(dir)).leaf.cert_chain_pem; };
  EXPECT_TRUE(must(keep_coordinator_leaf(ca, dir, names, kNow)));
  EXPECT_THAT(
      must(read_certificate(shown())).hosts,
      testing::ElementsAre("localhost", "127.0.0.1", "::1", "cluster.example", "2001:db8::7"));
  const std::string first = shown();
  EXPECT_FALSE(must(keep_coordinator_leaf(ca, dir, names, kNow + 29 * kDay)));
  EXPECT_EQ(shown(), first);
  EXPECT_TRUE(must(keep_coordinator_leaf(ca, dir, names, kNow + 31 * kDay)));
  EXPECT_NE(shown(), first);
  EXPECT_FALSE(must(keep_coordinator_leaf(ca, dir, names, kNow + 31 * kDay)));
  EXPECT_TRUE(must(keep_coordinator_leaf(ca, dir, {}, kNow + 31 * kDay))) << "other names";
  const CertificateAuthority other =
      must(CertificateAuthority::create(folder / "other", "demo", kNow));
  EXPECT_TRUE(must(keep_coordinator_leaf(other, dir, {}, kNow + 31 * kDay))) << "another CA";
  const std::vector<std::string> bad = {"a b"};
  EXPECT_EQ(keep_coordinator_leaf(other, dir, bad, kNow + 31 * kDay).error().field, "name");
}

}  // namespace
}  // namespace overwinter
