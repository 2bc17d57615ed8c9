// A backup's file: the manifest comes back as it was, and any content that is another one, is
// missing or is too many is named.
#include "common/formats/backup_file.h"

#include <gtest/gtest.h>

#include <span>
#include <utility>
#include <vector>

#include "common/formats/digest.h"

namespace overwinter::formats {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

std::string tar_member(const std::string& name, const std::string& content) {
  std::string out = tar_head({name, content.size()}) + content;
  out.append(tar_padding(content.size()), '\0');
  return out;
}

BackupManifest manifest_of(const Files& files) {
  BackupManifest manifest;
  manifest.cluster = "cluster \"one\"";
  manifest.generation = 3;
  manifest.turn = 12'345;
  manifest.turn_hash = sha256(std::as_bytes(std::span(std::string_view("turn"))));
  manifest.turn_time = time_from_unix_ms(1'795'000'000'123);
  manifest.taken = time_from_unix_ms(1'795'000'000'456);
  manifest.program = "0.1.0";
  manifest.keys = true;
  for (const auto& [name, content] : files) {
    manifest.members.push_back({name, content.size(), sha256(std::as_bytes(std::span(content)))});
  }
  return manifest;
}

std::string backup_of(const Files& files, const BackupManifest& manifest) {
  std::string out;
  for (const auto& [name, content] : files) out += tar_member(name, content);
  return out + tar_member("MANIFEST.json", write_backup_manifest(manifest)) + tar_end();
}

Result<BackupManifest> read(const std::string& backup) {
  BackupReader reader(nullptr);
  if (Status status = reader.feed(std::as_bytes(std::span(backup))); !status.ok())
    return fail(std::move(status));
  return reader.finish();
}

const Files kFiles{
    {"store/log.db", "the log"}, {"artifacts/blobs/a", std::string(3000, 'a')}, {"e", ""}};

TEST(BackupFile, ComesBackAsItWas) {
  const BackupManifest manifest = manifest_of(kFiles);
  const auto back = read(backup_of(kFiles, manifest));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(*back, manifest);
}

TEST(BackupFile, HandsItsMembersOnButNotItsManifest) {
  struct Names final : TarSink {
    std::vector<std::string> names;
    std::string content;
    Status begin(const TarMember& member) override {
      names.push_back(member.name);
      return Status::success();
    }
    Status data(std::span<const std::byte> piece) override {
      content.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return Status::success();
    }
    Status end() override { return Status::success(); }
  } sink;
  BackupReader reader(&sink);
  const std::string backup = backup_of(kFiles, manifest_of(kFiles));
  ASSERT_TRUE(reader.feed(std::as_bytes(std::span(backup))).ok());
  ASSERT_TRUE(reader.finish().has_value());
  EXPECT_EQ(sink.names, (std::vector<std::string>{"store/log.db", "artifacts/blobs/a", "e"}));
  EXPECT_EQ(sink.content, "the log" + std::string(3000, 'a'));
}

TEST(BackupFile, AMemberWithOtherContentIsNamed) {
  const std::string good = backup_of(kFiles, manifest_of(kFiles));
  std::string bad = good;
  bad[bad.find(std::string(3000, 'a')) + 1500] = 'b';
  const auto back = read(bad);
  ASSERT_FALSE(back.has_value());
  EXPECT_EQ(back.error().code, Code::kDataLoss);
  EXPECT_NE(back.error().message.find("artifacts/blobs/a"), std::string::npos)
      << back.error().message;
}

TEST(BackupFile, AMemberTooFewOrTooManyIsNamed) {
  Files fewer = kFiles;
  fewer.erase(fewer.begin() + 1);
  const auto lacks = read(backup_of(fewer, manifest_of(kFiles)));
  ASSERT_FALSE(lacks.has_value());
  EXPECT_EQ(lacks.error().code, Code::kDataLoss);
  const auto more = read(backup_of(kFiles, manifest_of(fewer)));
  ASSERT_FALSE(more.has_value());
  EXPECT_NE(more.error().message.find("artifacts/blobs/a"), std::string::npos);
}

TEST(BackupFile, WithoutAManifestOrCutShortItIsNone) {
  std::string bare;
  for (const auto& [name, content] : kFiles) bare += tar_member(name, content);
  EXPECT_EQ(read(bare + tar_end()).error().code, Code::kDataLoss);
  const std::string good = backup_of(kFiles, manifest_of(kFiles));
  for (std::size_t size = 0; size < good.size(); size += 131) {
    EXPECT_FALSE(read(good.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(read(good + tar_member("late", "x")).has_value());
}

TEST(BackupFile, ANewerManifestIsRefusedWithBothNumbers) {
  std::string text = write_backup_manifest(manifest_of(kFiles));
  const std::string ours = "\"version\": 1";
  text.replace(text.find(ours), ours.size(), "\"version\": 9");
  const auto back = read_backup_manifest(text);
  ASSERT_FALSE(back.has_value());
  EXPECT_EQ(back.error().code, Code::kFailedPrecondition);
  EXPECT_NE(back.error().message.find("9"), std::string::npos);
}

TEST(BackupFile, DamagedManifestsAreRefused) {
  const std::string good = write_backup_manifest(manifest_of(kFiles));
  for (const char* field : {"format", "cluster", "generation", "turn", "turnHash", "turnTime",
                            "taken", "program", "keys", "members", "sizeBytes", "sha256", "name"}) {
    std::string bad = good;
    const std::string quoted = "\"" + std::string(field) + "\"";
    bad.replace(bad.find(quoted), quoted.size(), "\"other\"");
    EXPECT_EQ(read_backup_manifest(bad).error().code, Code::kInvalidArgument) << field;
  }
  EXPECT_FALSE(read_backup_manifest("").has_value());
  EXPECT_FALSE(read_backup_manifest("[]").has_value());
  EXPECT_FALSE(read_backup_manifest(good.substr(0, good.size() / 2)).has_value());
}

}  // namespace
}  // namespace overwinter::formats
