#include "common/security/seal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using test::TemporaryFolder;

TEST(Seal, OpensWithItsKeyAndItsNameAlone) {
  const TemporaryFolder folder;
  const Sealer sealer = must(Sealer::create(folder / "key"));
  for (const std::string& content : {std::string(), std::string("hf_value"),
                                     std::string("\0\xff\n", 3), std::string(100'000, 'x')}) {
    const std::string sealed = must(sealer.seal(content, "demo/HF_TOKEN"));
    EXPECT_EQ(sealed.size(), content.size() + kSealBytes);
    EXPECT_EQ(must(sealer.unseal(sealed, "demo/HF_TOKEN")), content);
    EXPECT_EQ(sealer.unseal(sealed, "demo/OTHER").error().code, Code::kInternal);
    // Sealed twice it is never the same: nothing tells that a value came again.
    EXPECT_NE(must(sealer.seal(content, "demo/HF_TOKEN")), sealed);
    if (content.size() > 4) {
      EXPECT_EQ(sealed.find(content), std::string::npos);
    }
  }
}

TEST(Seal, TheKeyIsThereAtTheNextStart) {
  const TemporaryFolder folder;
  const std::string sealed = must(must(Sealer::create(folder / "key")).seal("value", "name"));
  EXPECT_EQ(must(must(Sealer::open(folder / "key")).unseal(sealed, "name")), "value");
  struct stat info {};
  ASSERT_EQ(::stat((folder / "key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Seal, AnotherKeyIsSaidToBeAnotherOne) {
  const TemporaryFolder folder;
  const std::string sealed = must(must(Sealer::create(folder / "one")).seal("value", "name"));
  const auto opened = must(Sealer::create(folder / "two")).unseal(sealed, "name");
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(opened.error().message, "it is sealed with another key");
}

// Each byte of it counts, and none of them ends the process.
TEST(Seal, AnyChangedOrMissingByteIsFound) {
  const TemporaryFolder folder;
  const Sealer sealer = must(Sealer::create(folder / "key"));
  const std::string sealed = must(sealer.seal("a value", "name"));
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(sealer.unseal(changed, "name").has_value()) << at;
    EXPECT_FALSE(sealer.unseal(sealed.substr(0, at), "name").has_value()) << at;
  }
  EXPECT_FALSE(sealer.unseal(sealed + "x", "name").has_value());
}

TEST(Seal, WhatIsNoKeyIsRefused) {
  const TemporaryFolder folder;
  EXPECT_EQ(Sealer::open(folder / "none").error().code, Code::kNotFound);
  const std::string cases[] = {"",
                               "\n",
                               "overwinter-sealing-key 1 ",
                               "overwinter-sealing-key 1 !!",
                               "overwinter-sealing-key 1 AAAA\n",
                               std::string(300, 'x')};
  for (const std::string& content : cases) {
    const auto file = folder.put("key", content);
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    const auto opened = Sealer::open(file);
    ASSERT_FALSE(opened.has_value()) << content;
    EXPECT_TRUE(opened.error().code == Code::kFailedPrecondition ||
                opened.error().code == Code::kInvalidArgument)
        << opened.error().message;
  }
  (void)must(Sealer::create(folder / "open to all"));
  ASSERT_EQ(::chmod((folder / "open to all").c_str(), 0644), 0);
  EXPECT_EQ(Sealer::open(folder / "open to all").error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace overwinter
