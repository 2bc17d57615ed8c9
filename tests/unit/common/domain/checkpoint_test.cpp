#include "common/domain/checkpoint.h"

#include <gtest/gtest.h>

#include <limits>

namespace overwinter {
namespace {

CheckpointManifest a_manifest() {
  CheckpointManifest manifest;
  manifest.job = JobId(7);
  manifest.attempt = 2;
  manifest.step = 50;
  manifest.world_size = 2;
  manifest.files = {{"model.safetensors", 100, {}, CheckpointFileKind::kWeights},
                    {"rank-0/adam.safetensors", 200, {}, CheckpointFileKind::kOptimizer}};
  return manifest;
}

TEST(CheckpointPath, StaysInItsFolder) {
  for (const char* good : {"a", "a.b", "..a", "a..", "...", ".hidden", "a/b/c.pt", "größe/模型.bin",
                           "with space", "-rf", "a:b", "\xf0\x9f\x98\x80"})
    EXPECT_TRUE(check_checkpoint_path(good).ok()) << good;
  for (const char* wrong : {"",
                            "/",
                            "/a",
                            "a/",
                            "a//b",
                            ".",
                            "..",
                            "../a",
                            "a/..",
                            "a/../b",
                            "a/.",
                            "./a",
                            "a\nb",
                            "a\x7f",
                            "a\\b",
                            "\xff",
                            "a\xc0\xaf"
                            "b",
                            "\xed\xa0\x80",
                            "\xf4\x90\x80\x80",
                            "\xc3",
                            "\xe0\x80\x80",
                            "\xf0\x80\x80\x80"})
    EXPECT_EQ(check_checkpoint_path(wrong).code, Code::kInvalidArgument) << wrong;
  EXPECT_FALSE(check_checkpoint_path(std::string_view("a\0b", 3)).ok());
  EXPECT_TRUE(check_checkpoint_path(std::string(255, 'a')).ok());
  EXPECT_FALSE(check_checkpoint_path(std::string(256, 'a')).ok());
  std::string deep = "a";
  while (deep.size() + 2 <= 1024) deep += "/a";
  EXPECT_TRUE(check_checkpoint_path(deep).ok());
  EXPECT_FALSE(check_checkpoint_path(deep + "/a").ok());
}

TEST(Checkpoint, WhatIsRefused) {
  EXPECT_TRUE(check_checkpoint(a_manifest()).ok());
  const auto refused = [](auto change, const char* field) {
    CheckpointManifest manifest = a_manifest();
    change(manifest);
    const Status status = check_checkpoint(manifest);
    EXPECT_EQ(status.code, Code::kInvalidArgument) << field;
    EXPECT_EQ(status.field, field) << status.message;
  };
  refused([](auto& m) { m.job = JobId(); }, "job");
  refused([](auto& m) { m.attempt = 0; }, "attempt");
  refused([](auto& m) { m.world_size = 0; }, "world_size");
  refused([](auto& m) { m.world_size = kCheckpointWorldMax + 1; }, "world_size");
  refused([](auto& m) { m.loss = std::numeric_limits<double>::quiet_NaN(); }, "loss");
  refused([](auto& m) { m.loss = std::numeric_limits<double>::infinity(); }, "loss");
  refused([](auto& m) { m.files.clear(); }, "files");
  refused([](auto& m) { m.files.push_back(m.files.front()); }, "files.name");
  refused([](auto& m) { m.files.front().name = "rank-0"; }, "files.name");
  refused([](auto& m) { m.files.front().name = "../x"; }, "files.name");
  refused([](auto& m) { m.files.front().size_bytes = std::uint64_t{1} << 63U; },
          "files.size_bytes");
  refused(
      [](auto& m) {
        m.files.clear();
        for (std::size_t i = 0; i <= kCheckpointFilesMax; ++i)
          m.files.push_back({std::to_string(i), 0, {}, CheckpointFileKind::kUserFile});
      },
      "files");
  refused(
      [](auto& m) {
        m.files.clear();
        const std::string part(250, 'x');
        for (int i = 0; i < 1100; ++i)
          m.files.push_back({std::to_string(i) + "/" + part + "/" + part + "/" + part + "/" + part,
                             0,
                             {},
                             CheckpointFileKind::kUserFile});
      },
      "files.name");
}

TEST(Checkpoint, SumsAndFinds) {
  const CheckpointManifest manifest = a_manifest();
  EXPECT_EQ(manifest.total_bytes(), 300U);
  EXPECT_EQ(manifest.find("model.safetensors"), &manifest.files[0]);
  EXPECT_EQ(manifest.find("none"), nullptr);
  EXPECT_LT((CheckpointKey{1, 100}), (CheckpointKey{2, 50}));
  EXPECT_LT((CheckpointKey{2, 50}), (CheckpointKey{2, 60}));
}

TEST(Checkpoint, KindsHaveNames) {
  for (const auto kind : {CheckpointFileKind::kWeights, CheckpointFileKind::kOptimizer,
                          CheckpointFileKind::kState, CheckpointFileKind::kUserFile})
    EXPECT_EQ(parse_checkpoint_file_kind(checkpoint_file_kind_name(kind)).value(), kind);
  EXPECT_FALSE(parse_checkpoint_file_kind("model").has_value());
}

}  // namespace
}  // namespace overwinter
