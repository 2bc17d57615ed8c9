#include "common/formats/checkpoint_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/base/bytes.h"
#include "common/formats/digest.h"

namespace overwinter::formats {
namespace {

Digest digest_of(std::string_view text) {
  return sha256(std::as_bytes(std::span(text)));
}

CheckpointManifest a_manifest() {
  CheckpointManifest manifest;
  manifest.job = JobId(7);
  manifest.attempt = 2;
  manifest.step = 50;
  manifest.parameters = digest_of("weights");
  manifest.world_size = 2;
  manifest.data_position = 800;
  manifest.loss = 2.3145678901234567;
  manifest.stored = time_from_unix_ms(1'764'410'400'123);
  manifest.files = {{"model.safetensors", 100, digest_of("a"), CheckpointFileKind::kWeights},
                    {"größe \"x\".safetensors", 0, digest_of("b"), CheckpointFileKind::kOptimizer},
                    {"state", 7, digest_of("c"), CheckpointFileKind::kState},
                    {"ckpt/epoch 1/model.pt", std::uint64_t{1} << 40U, digest_of("d"),
                     CheckpointFileKind::kUserFile}};
  return manifest;
}

// A manifest around this inner object, with the right checksum.
std::string around(const std::string& body) {
  return "{\"sha256\":\"" + to_hex(digest_of(body)) + "\",\"manifest\":" + body + "}\n";
}

TEST(CheckpointManifest, RoundTrip) {
  CheckpointManifest manifest = a_manifest();
  const auto back = read_checkpoint_manifest(write_checkpoint_manifest(manifest));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(*back, manifest);
  manifest.loss.reset();
  EXPECT_EQ(read_checkpoint_manifest(write_checkpoint_manifest(manifest)).value(), manifest);
}

TEST(CheckpointManifest, IsJsonForOthersToo) {
  const auto json = nlohmann::json::parse(write_checkpoint_manifest(a_manifest()));
  EXPECT_EQ(json["manifest"]["version"], 1);
  EXPECT_EQ(json["manifest"]["step"], 50);
  EXPECT_EQ(json["manifest"]["files"][3]["kind"], "user-file");
  EXPECT_EQ(json["manifest"]["stored"], "2025-11-29T10:00:00.123Z");
}

TEST(CheckpointManifest, EveryTruncationAndFlippedByteIsRefused) {
  const std::string text = write_checkpoint_manifest(a_manifest());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(read_checkpoint_manifest(text.substr(0, size)).has_value()) << size;
  EXPECT_FALSE(read_checkpoint_manifest(text + "\n").has_value());
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ (1U << bit));
      EXPECT_FALSE(read_checkpoint_manifest(changed).has_value()) << at << " " << bit;
    }
  }
}

TEST(CheckpointManifest, OddOnesWithARightChecksum) {
  const nlohmann::json good =
      nlohmann::json::parse(write_checkpoint_manifest(a_manifest()))["manifest"];
  ASSERT_TRUE(read_checkpoint_manifest(around(good.dump())).has_value());
  const auto refused = [&](auto change) {
    nlohmann::json json = good;
    change(json);
    const auto read = read_checkpoint_manifest(around(json.dump()));
    EXPECT_FALSE(read.has_value()) << json.dump();
    if (!read) {
      EXPECT_FALSE(read.error().message.empty());
    }
  };
  for (const auto& [key, value] : good.items()) {
    if (key != "loss") refused([&](auto& json) { json.erase(key); });
    refused([&](auto& json) { json[key] = nullptr; });
    refused([&](auto& json) { json[key] = nlohmann::json::object(); });
  }
  refused([](auto& json) { json["more"] = 1; });
  refused([](auto& json) { json["version"] = 2; });
  refused([](auto& json) { json["format"] = "other"; });
  refused([](auto& json) { json["attempt"] = std::uint64_t{1} << 33U; });
  refused([](auto& json) { json["step"] = -1; });
  refused([](auto& json) { json["step"] = 1.5; });
  refused([](auto& json) { json["loss"] = "nan"; });
  refused([](auto& json) { json["parametersDigest"] = "abc"; });
  refused([](auto& json) { json["stored"] = "yesterday"; });
  refused([](auto& json) { json["files"][0]["name"] = "../../etc/passwd"; });
  refused([](auto& json) { json["files"][0]["name"] = json["files"][1]["name"]; });
  refused([](auto& json) { json["files"][0]["kind"] = "other"; });
  refused([](auto& json) { json["files"][0]["more"] = 1; });
  refused([](auto& json) { json["files"][0].erase("digest"); });
  refused([](auto& json) { json["files"][0] = "model.safetensors"; });
  refused([](auto& json) { json["files"] = nlohmann::json::array(); });
  const std::string body = good.dump();
  EXPECT_FALSE(
      read_checkpoint_manifest(around("{\"step\":50," + body.substr(1))).has_value());  // twice
  EXPECT_FALSE(read_checkpoint_manifest(around(std::string(100'000, '['))).has_value());
  EXPECT_FALSE(read_checkpoint_manifest(around("[]")).has_value());
  EXPECT_FALSE(read_checkpoint_manifest(around("{\"a\":" + std::string(1000, '{'))).has_value());
  EXPECT_FALSE(
      read_checkpoint_manifest(std::string(kCheckpointManifestBytesMax + 1, ' ')).has_value());
}

TEST(CheckpointManifest, TheLargestFits) {
  CheckpointManifest manifest = a_manifest();
  manifest.files.clear();
  const std::string part(200, '"');  // each takes two bytes in JSON
  for (std::size_t i = 0; i < kCheckpointFilesMax; ++i)
    manifest.files.push_back({std::to_string(i) + part, ~std::uint64_t{0} >> 20U, digest_of("x"),
                              CheckpointFileKind::kUserFile});
  ASSERT_TRUE(check_checkpoint(manifest).ok()) << check_checkpoint(manifest).message;
  const std::string text = write_checkpoint_manifest(manifest);
  EXPECT_LT(text.size(), kCheckpointManifestBytesMax / 2);
  EXPECT_EQ(read_checkpoint_manifest(text).value(), manifest);
}

}  // namespace
}  // namespace overwinter::formats
