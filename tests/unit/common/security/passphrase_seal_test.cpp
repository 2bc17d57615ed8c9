#include "common/security/passphrase_seal.h"

#include <gtest/gtest.h>

namespace overwinter {
namespace {

constexpr std::size_t kHead = 20;
constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kTag = 16;

TEST(PassphraseSeal, ComesBackWithThePassphraseAlone) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kChunk, kChunk + 1}) {
    const std::string content(size, 'k');
    const auto sealed = seal_with_passphrase(content, "correct horse");
    ASSERT_TRUE(sealed.has_value());
    const std::size_t chunks = size <= kChunk ? 1 : 2;
    EXPECT_EQ(sealed->size(), kHead + size + chunks * kTag);
    const auto back = unseal_with_passphrase(*sealed, "correct horse");
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(*back, content);
    EXPECT_EQ(unseal_with_passphrase(*sealed, "correct hors").error().code,
              Code::kPermissionDenied);
  }
  EXPECT_EQ(unseal_with_passphrase(*seal_with_passphrase("x", "correct horse"), "").error().code,
            Code::kPermissionDenied);
}

TEST(PassphraseSeal, TwoSealsOfOneTextShareNothing) {
  const auto a = seal_with_passphrase("secret", "correct horse");
  const auto b = seal_with_passphrase("secret", "correct horse");
  EXPECT_NE(a->substr(4), b->substr(4));
  EXPECT_EQ(a->find("secret"), std::string::npos);
}

TEST(PassphraseSeal, ChunksAreNeitherLeftOutNorMovedNorChanged) {
  const std::string content = std::string(kChunk, 'a') + std::string(kChunk, 'b') + "c";
  const std::string sealed = *seal_with_passphrase(content, "correct horse");
  const std::size_t one = kChunk + kTag;
  const std::string first = sealed.substr(kHead, one);
  const std::string second = sealed.substr(kHead + one, one);
  const std::string last = sealed.substr(kHead + 2 * one);
  const std::string head = sealed.substr(0, kHead);
  EXPECT_EQ(*unseal_with_passphrase(head + first + second + last, "correct horse"), content);
  for (const std::string& bad : {head + first + last, head + first + second,
                                 head + first + first + last, head + first + second + last + "x"}) {
    EXPECT_EQ(unseal_with_passphrase(bad, "correct horse").error().code, Code::kDataLoss);
  }
  // In the first chunk it cannot be told from another passphrase.
  EXPECT_EQ(unseal_with_passphrase(head + second + first + last, "correct horse").error().code,
            Code::kPermissionDenied);
  std::string flipped = sealed;
  flipped[kHead + one + 5] = static_cast<char>(flipped[kHead + one + 5] ^ 1);
  EXPECT_EQ(unseal_with_passphrase(flipped, "correct horse").error().code, Code::kDataLoss);
}

TEST(PassphraseSeal, WhatIsNoSealedTextIsDamaged) {
  for (const std::string& text : {std::string(), std::string("OWP1"), std::string(100, 'x')}) {
    EXPECT_EQ(unseal_with_passphrase(text, "correct horse").error().code, Code::kDataLoss);
  }
}

TEST(PassphraseSeal, PassphrasesHaveALength) {
  EXPECT_FALSE(check_passphrase("1234567").ok());
  EXPECT_TRUE(check_passphrase("12345678").ok());
  EXPECT_TRUE(check_passphrase(std::string(kPassphraseMax, 'x')).ok());
  EXPECT_FALSE(check_passphrase(std::string(kPassphraseMax + 1, 'x')).ok());
  EXPECT_EQ(seal_with_passphrase("x", "short").error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace overwinter
