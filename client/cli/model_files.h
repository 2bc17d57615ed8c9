// What `checkpoints get` makes of a training's shards: one safetensors file, and the config.json
// that Hugging Face's tools read beside it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/formats/safetensors.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::cli {

// The header of a file on this machine. INVALID_ARGUMENT names the file.
[[nodiscard]] Result<formats::SafetensorsHeader> read_header(const std::filesystem::path& file);

// One file of all the shards' tensors: the widest elements first, in the shards' order else.
// Written beside its place and renamed. INVALID_ARGUMENT: two shards have a tensor of one name.
Status merge_shards(const std::vector<std::filesystem::path>& shards,
                    const std::filesystem::path& to);

// The text of config.json: GPT-2's as transformers reads it, where the model is a GPT; else what
// the job file said of the model. Sizes come from the weights where they have them.
[[nodiscard]] std::string model_config(const v1::ModelSpec& model,
                                       const formats::SafetensorsHeader& weights);

}  // namespace overwinter::cli
