#include "client/cli/model_files.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/base/bytes.h"

namespace overwinter::cli {
namespace {

using Json = nlohmann::ordered_json;

// A tensor and the shard that it lies in.
struct Piece {
  formats::TensorInfo tensor;
  std::size_t shard = 0;
};

formats::ReadAt reader_of(std::ifstream& file) {
  return [&file](std::uint64_t offset, std::span<std::byte> out) {
    file.clear();
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
    return file ? Status::success() : error(Code::kDataLoss, "it ends early");
  };
}

Status copy_tensor(std::ifstream& from, const formats::TensorInfo& tensor,
                   formats::SafetensorsWriter& to) {
  const formats::ReadAt read = reader_of(from);
  std::vector<std::byte> piece(kMiB);
  for (std::uint64_t at = 0; at < tensor.bytes;) {
    const std::span<std::byte> part = std::span(piece).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), tensor.bytes - at)));
    if (Status status = read(tensor.offset + at, part); !status.ok()) return status;
    if (Status status = to.write(part); !status.ok()) return status;
    at += part.size();
  }
  return Status::success();
}

Status write_pieces(const std::vector<Piece>& pieces,
                    const std::vector<std::unique_ptr<std::ifstream>>& shards,
                    const std::filesystem::path& to) {
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  std::vector<formats::TensorSpec> specs;
  for (const Piece& piece : pieces) specs.push_back(piece.tensor.spec);
  auto writer = formats::SafetensorsWriter::begin(specs, {}, [&](std::span<const std::byte> data) {
    out.write(reinterpret_cast<const char*>(data.data()),
              static_cast<std::streamsize>(data.size()));
    return out ? Status::success() : error(Code::kResourceExhausted, "cannot write " + to.string());
  });
  if (!writer) return std::move(writer.error());
  for (const Piece& piece : pieces) {
    if (Status status = copy_tensor(*shards[piece.shard], piece.tensor, *writer); !status.ok())
      return status;
  }
  if (Status status = writer->finish(); !status.ok()) return status;
  out.close();
  return out ? Status::success() : error(Code::kResourceExhausted, "cannot write " + to.string());
}

Json gpt_config(const v1::GptSpec& gpt, const formats::SafetensorsHeader& weights) {
  const formats::TensorInfo* tokens = weights.find("wte.weight");
  const formats::TensorInfo* positions = weights.find("wpe.weight");
  const bool sized = tokens != nullptr && tokens->spec.shape.size() == 2;
  const bool placed = positions != nullptr && positions->spec.shape.size() == 2;
  Json json;
  json["architectures"] = {"GPT2LMHeadModel"};
  json["model_type"] = "gpt2";
  json["vocab_size"] = sized ? tokens->spec.shape[0] : 256;
  json["n_positions"] = placed ? positions->spec.shape[0] : gpt.context();
  json["n_ctx"] = json["n_positions"];
  json["n_embd"] = sized ? tokens->spec.shape[1] : gpt.width();
  json["n_layer"] = gpt.layers();
  json["n_head"] = gpt.heads();
  json["activation_function"] = "gelu_new";
  json["layer_norm_epsilon"] = 1e-5;
  json["attn_pdrop"] = 0.0;
  json["embd_pdrop"] = 0.0;
  json["resid_pdrop"] = 0.0;
  json["tie_word_embeddings"] = true;
  json["torch_dtype"] = "float32";
  // A token is a byte; none of them begins or ends a text.
  json["bos_token_id"] = nullptr;
  json["eos_token_id"] = nullptr;
  return json;
}

}  // namespace

Result<formats::SafetensorsHeader> read_header(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code problem;
  const std::uint64_t size = std::filesystem::file_size(path, problem);
  if (!file || problem) return fail(Code::kInvalidArgument, path.string() + " cannot be read");
  auto header = formats::read_safetensors_header(size, reader_of(file));
  if (!header) header.error().message = path.string() + ": " + header.error().message;
  return header;
}

Status merge_shards(const std::vector<std::filesystem::path>& shards,
                    const std::filesystem::path& to) {
  std::vector<Piece> pieces;
  std::vector<std::unique_ptr<std::ifstream>> files;
  std::set<std::string> names;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    auto header = read_header(shards[i]);
    if (!header) return std::move(header.error());
    files.push_back(std::make_unique<std::ifstream>(shards[i], std::ios::binary));
    for (formats::TensorInfo& tensor : header->tensors) {
      if (!names.insert(tensor.spec.name).second) {
        return error(Code::kInvalidArgument,
                     "two shards of the checkpoint have a tensor " + tensor.spec.name);
      }
      pieces.push_back({std::move(tensor), i});
    }
  }
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return formats::tensor_dtype_bytes(a.tensor.spec.dtype) >
           formats::tensor_dtype_bytes(b.tensor.spec.dtype);
  });
  const std::filesystem::path unfinished = to.string() + ".part";
  Status status = write_pieces(pieces, files, unfinished);
  std::error_code problem;
  if (status.ok()) std::filesystem::rename(unfinished, to, problem);
  if (problem) status = error(Code::kInvalidArgument, "cannot write " + to.string());
  if (!status.ok()) std::filesystem::remove(unfinished, problem);
  return status;
}

std::string model_config(const v1::ModelSpec& model, const formats::SafetensorsHeader& weights) {
  if (model.has_gpt()) return gpt_config(model.gpt(), weights).dump(2) + "\n";
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  if (!google::protobuf::util::MessageToJsonString(model, &text, options).ok()) text = "{}";
  Json json;
  json["model_type"] = "overwinter";
  json["model"] = Json::parse(text, nullptr, false);
  return json.dump(2) + "\n";
}

}  // namespace overwinter::cli
