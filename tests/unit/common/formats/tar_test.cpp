// The tar of a backup: what is written is read again, in pieces of any size; what is none of ours
// is refused with the place.
#include "common/formats/tar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace overwinter::formats {
namespace {

struct Seen final : TarSink {
  std::vector<std::pair<std::string, std::string>> files;
  std::vector<std::uint64_t> sizes;
  int open = 0;
  Status begin(const TarMember& member) override {
    ++open;
    files.emplace_back(member.name, std::string());
    sizes.push_back(member.size_bytes);
    return Status::success();
  }
  Status data(std::span<const std::byte> piece) override {
    files.back().second.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return Status::success();
  }
  Status end() override {
    --open;
    return Status::success();
  }
};

std::string member(const std::string& name, const std::string& content) {
  std::string out = tar_head({name, content.size()}) + content;
  out.append(tar_padding(content.size()), '\0');
  return out;
}

Status read(const std::string& tar, TarSink& sink, std::size_t piece) {
  TarReader reader(sink);
  const auto bytes = std::as_bytes(std::span(tar));
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const Status status = reader.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    if (!status.ok()) return status;
  }
  return reader.finish();
}

const std::string kLong =
    std::string(90, 'd') + "/" + std::string(90, 'e') + "/" + std::string(120, 'f');

std::string an_example() {
  return member("a", "one") + member("empty", "") + member("deep/er/b", std::string(512, 'x')) +
         member(std::string(120, 'p') + "/" + std::string(90, 'n'), "split") +
         member(kLong, std::string(1000, 'y')) + tar_end();
}

TEST(Tar, ComesBackInPiecesOfAnySize) {
  const std::string tar = an_example();
  EXPECT_EQ(tar.size() % kTarBlockBytes, 0U);
  for (const std::size_t piece : {1UL, 7UL, 511UL, 512UL, 513UL, 100'000UL}) {
    Seen seen;
    const Status status = read(tar, seen, piece);
    ASSERT_TRUE(status.ok()) << piece << ": " << status.message;
    ASSERT_EQ(seen.files.size(), 5U);
    EXPECT_EQ(seen.files[0], std::pair(std::string("a"), std::string("one")));
    EXPECT_EQ(seen.files[1], std::pair(std::string("empty"), std::string()));
    EXPECT_EQ(seen.files[2].second, std::string(512, 'x'));
    EXPECT_EQ(seen.files[3].first, std::string(120, 'p') + "/" + std::string(90, 'n'));
    EXPECT_EQ(seen.files[4], std::pair(kLong, std::string(1000, 'y')));
    EXPECT_EQ(seen.open, 0);
  }
}

TEST(Tar, ASizeBeyondElevenOctalDigitsIsSaidInAHeadBefore) {
  constexpr std::uint64_t kLarge = std::uint64_t{20} << 30;
  Seen seen;
  TarReader reader(seen);
  const std::string head = tar_head({"large", kLarge});
  ASSERT_TRUE(reader.feed(std::as_bytes(std::span(head))).ok());
  ASSERT_EQ(seen.sizes, std::vector{kLarge});
  EXPECT_EQ(reader.finish().code, Code::kDataLoss);
  Seen small;
  TarReader other(small);
  const std::string just = tar_head({"just", (std::uint64_t{8} << 30) - 1});
  EXPECT_EQ(just.size(), kTarBlockBytes);
  ASSERT_TRUE(other.feed(std::as_bytes(std::span(just))).ok());
  EXPECT_EQ(small.sizes, std::vector{(std::uint64_t{8} << 30) - 1});
}

TEST(Tar, OneThatIsCutShortAnywhereIsNotWhole) {
  const std::string tar = an_example();
  for (std::size_t size = 0; size < tar.size(); size += 97) {
    Seen seen;
    EXPECT_EQ(read(tar.substr(0, size), seen, 4096).code, Code::kDataLoss) << size;
  }
}

TEST(Tar, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"/etc/passwd", "../a", "a/../../b", "a//b", "./a", "a/", ""}) {
    Seen seen;
    const Status status = read(member(name, "x") + tar_end(), seen, 4096);
    EXPECT_EQ(status.code, Code::kInvalidArgument) << name;
    EXPECT_TRUE(seen.files.empty()) << name;
  }
}

TEST(Tar, WhatIsBehindTheEndOrBetweenMembersIsRefused) {
  Seen seen;
  EXPECT_EQ(read(an_example() + member("late", "x"), seen, 4096).code, Code::kInvalidArgument);
  std::string gap = member("a", "one") + tar_end();
  gap[kTarBlockBytes + 100] = 'x';
  Seen other;
  EXPECT_EQ(read(gap, other, 4096).code, Code::kInvalidArgument);
}

// Any flipped byte of a head is found; and random bytes are never taken for members.
TEST(Tar, DamagedHeadsAreRefused) {
  const std::string tar = member("a", "one") + tar_end();
  for (std::size_t at = 0; at < kTarBlockBytes; ++at) {
    std::string bad = tar;
    bad[at] = static_cast<char>(bad[at] ^ 0x11);
    Seen seen;
    EXPECT_FALSE(read(bad, seen, 4096).ok()) << at;
  }
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    std::string noise(2048, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    Seen seen;
    EXPECT_FALSE(read(noise, seen, 700).ok());
    EXPECT_TRUE(seen.files.empty());
  }
}

TEST(Tar, ASinksWordEndsTheReading) {
  struct Refusing final : TarSink {
    Status begin(const TarMember&) override { return error(Code::kAborted, "no"); }
    Status data(std::span<const std::byte>) override { return Status::success(); }
    Status end() override { return Status::success(); }
  } sink;
  EXPECT_EQ(read(an_example(), sink, 4096).code, Code::kAborted);
}

}  // namespace
}  // namespace overwinter::formats
