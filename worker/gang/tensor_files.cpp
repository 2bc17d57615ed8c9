#include "worker/gang/tensor_files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/formats/safetensors.h"

namespace overwinter::worker {
namespace {

// Names are given once it is known how many shards there are.
void append_shards(std::vector<TensorFile>& files, CheckpointFileKind kind,
                   const std::string& prefix, std::span<const TensorView> tensors,
                   std::uint64_t shard_bytes) {
  const std::size_t first = files.size();
  std::uint64_t filled = 0;
  for (const TensorView& tensor : tensors) {
    const std::uint64_t bytes = tensor.bytes.size();
    if (files.size() == first || filled + bytes > shard_bytes) {
      files.push_back({kind, "", {}});
      filled = 0;
    }
    files.back().tensors.push_back(tensor);
    filled += bytes;
  }
  const std::size_t count = files.size() - first;
  for (std::size_t i = 0; i < count; ++i)
    files[first + i].name = fmt::format("{}-{:05}-of-{:05}.safetensors", prefix, i + 1, count);
}

Status disk_error(const std::filesystem::path& path) {
  return error(errno == ENOSPC || errno == EDQUOT ? Code::kResourceExhausted : Code::kInternal,
               "cannot write " + path.string() + ": " + std::strerror(errno));
}

Status write_all(int descriptor, std::span<const std::byte> bytes,
                 const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return disk_error(path);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return Status::success();
}

Status write_tensors(int descriptor, const std::filesystem::path& path,
                     std::span<const TensorView> tensors) {
  std::vector<formats::TensorSpec> specs;
  for (const TensorView& tensor : tensors) {
    const auto dtype = formats::parse_tensor_dtype(tensor.dtype);
    if (!dtype) return dtype.error();
    specs.push_back({tensor.name, *dtype, tensor.shape});
  }
  auto writer = formats::SafetensorsWriter::begin(specs, {}, [&](std::span<const std::byte> bytes) {
    return write_all(descriptor, bytes, path);
  });
  if (!writer) return writer.error();
  for (const TensorView& tensor : tensors) {
    if (Status s = writer->write(tensor.bytes); !s.ok()) return s;
  }
  return writer->finish();
}

}  // namespace

std::vector<TensorFile> checkpoint_files(std::span<const TensorView> state,
                                         std::uint64_t shard_bytes) {
  std::vector<TensorView> model;
  std::vector<TensorView> optimizer;
  TensorFile trainer{CheckpointFileKind::kState, "trainer.safetensors", {}};
  for (const TensorView& tensor : state) {
    const bool moments = tensor.name.starts_with("optimizer.");
    const bool counters = tensor.name.starts_with("trainer.");
    (counters ? trainer.tensors : moments ? optimizer : model).push_back(tensor);
  }
  std::vector<TensorFile> files;
  append_shards(files, CheckpointFileKind::kWeights, "model", model, shard_bytes);
  append_shards(files, CheckpointFileKind::kOptimizer, "optimizer", optimizer, shard_bytes);
  files.push_back(std::move(trainer));
  return files;
}

Status write_tensor_file(const std::filesystem::path& path, std::span<const TensorView> tensors) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return disk_error(path);
  Status written = write_tensors(descriptor, path, tensors);
  if (::close(descriptor) != 0 && written.ok()) written = disk_error(path);
  return written;
}

Result<std::vector<TensorView>> read_tensor_file(std::span<const std::byte> file,
                                                 const std::string& file_name) {
  const auto header = formats::read_safetensors_header(
      file.size(), [&](std::uint64_t offset, std::span<std::byte> out) {
        std::memcpy(out.data(), file.data() + offset, out.size());
        return Status::success();
      });
  if (!header) {
    Status wrong = header.error();
    wrong.message = file_name + ": " + wrong.message;
    return fail(std::move(wrong));
  }
  std::vector<TensorView> tensors;
  for (const formats::TensorInfo& info : header->tensors) {
    tensors.push_back({info.spec.name, std::string(formats::tensor_dtype_name(info.spec.dtype)),
                       info.spec.shape, file.subspan(info.offset, info.bytes)});
  }
  return tensors;
}

}  // namespace overwinter::worker
