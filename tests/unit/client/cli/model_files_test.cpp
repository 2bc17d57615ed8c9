#include "client/cli/model_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace overwinter::cli {
namespace {

namespace fs = std::filesystem;
using formats::TensorDtype;
using formats::TensorSpec;

class ModelFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "ow_model_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A file whose tensors hold nothing but this letter.
  fs::path shard(const std::string& name, const std::vector<TensorSpec>& tensors, char letter) {
    std::ofstream file(folder_ / name, std::ios::binary);
    file << formats::write_safetensors_header(tensors).value();
    for (const TensorSpec& tensor : tensors)
      file << std::string(formats::tensor_bytes(tensor).value(), letter);
    return folder_ / name;
  }
  static std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path folder_;
};

TEST_F(ModelFiles, ShardsBecomeOneFile) {
  const fs::path a = shard(
      "a", {{"wte.weight", TensorDtype::kF32, {256, 1500}}, {"mask", TensorDtype::kU8, {3}}}, 'a');
  const fs::path b = shard("b", {{"wpe.weight", TensorDtype::kF32, {8, 4}}}, 'b');
  const fs::path out = folder_ / "model.safetensors";
  ASSERT_TRUE(merge_shards({a, b}, out).ok());
  const auto header = read_header(out);
  ASSERT_TRUE(header.has_value()) << header.error().message;
  ASSERT_EQ(header->tensors.size(), 3U);
  EXPECT_EQ(header->metadata.at("format"), "pt");
  const std::string content = content_of(out);
  for (const auto& tensor : header->tensors) {
    const char letter = tensor.spec.name == "wpe.weight" ? 'b' : 'a';
    EXPECT_EQ(content.substr(tensor.offset, tensor.bytes), std::string(tensor.bytes, letter))
        << tensor.spec.name;
  }
  EXPECT_FALSE(fs::exists(out.string() + ".part"));
}

TEST_F(ModelFiles, WhatDoesNotFitIsRefusedAndLeavesNothing) {
  const fs::path out = folder_ / "model.safetensors";
  const fs::path a = shard("a", {{"w", TensorDtype::kF32, {2}}}, 'a');
  const fs::path b = shard("b", {{"w", TensorDtype::kF32, {2}}}, 'b');
  EXPECT_EQ(merge_shards({a, b}, out).code, Code::kInvalidArgument);
  std::ofstream(b, std::ios::binary) << "no safetensors file";
  const Status damaged = merge_shards({a, b}, out);
  EXPECT_EQ(damaged.code, Code::kInvalidArgument);
  EXPECT_NE(damaged.message.find(b.string()), std::string::npos);
  EXPECT_FALSE(merge_shards({folder_ / "none"}, out).ok());
  EXPECT_FALSE(fs::exists(out));
  EXPECT_FALSE(merge_shards({a}, folder_ / "no such folder" / "x").ok());
}

TEST_F(ModelFiles, TheConfigIsGpt2s) {
  const auto weights = read_header(shard(
      "w",
      {{"wte.weight", TensorDtype::kF32, {256, 128}}, {"wpe.weight", TensorDtype::kF32, {64, 128}}},
      'w'));
  v1::ModelSpec model;
  model.mutable_gpt()->set_layers(3);
  model.mutable_gpt()->set_heads(4);
  model.mutable_gpt()->set_width(128);
  model.mutable_gpt()->set_context(64);
  const auto config = nlohmann::json::parse(model_config(model, *weights));
  EXPECT_EQ(config["model_type"], "gpt2");
  EXPECT_EQ(config["vocab_size"], 256);
  EXPECT_EQ(config["n_positions"], 64);
  EXPECT_EQ(config["n_embd"], 128);
  EXPECT_EQ(config["n_layer"], 3);
  EXPECT_EQ(config["n_head"], 4);
  v1::ModelSpec mlp;
  mlp.mutable_mlp()->add_layers(784);
  mlp.mutable_mlp()->add_layers(10);
  EXPECT_EQ(nlohmann::json::parse(model_config(mlp, *weights))["model"]["mlp"]["layers"],
            nlohmann::json({784, 10}));
}

}  // namespace
}  // namespace overwinter::cli
