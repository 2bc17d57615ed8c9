#include "coordinator/artifacts/small_file.h"

#include <fmt/format.h>

#include "common/base/bytes.h"

namespace overwinter::artifacts {
namespace {

Status write_unfinished(FilePort& files, const std::string& path, std::string_view text) {
  Result<std::unique_ptr<File>> file = files.open(path, OpenMode::kCreate);
  if (!file) return std::move(file.error());
  if (Status status = (*file)->write_at(0, std::as_bytes(std::span(text))); !status.ok())
    return status;
  return (*file)->sync();
}

}  // namespace

Result<std::string> read_small_file(FilePort& files, const std::string& path,
                                    std::uint64_t bytes_max) {
  const Result<std::unique_ptr<File>> file = files.open(path, OpenMode::kRead);
  if (!file) return fail(file.error());
  const Result<std::uint64_t> size = (*file)->size_bytes();
  if (!size) return fail(size.error());
  if (*size > bytes_max)
    return fail(Code::kInternal,
                fmt::format("{} has {} and is damaged.", path, format_bytes(*size)));
  std::string text(*size, '\0');
  if (Status status = (*file)->read_at(0, std::as_writable_bytes(std::span(text))); !status.ok())
    return fail(std::move(status));
  return text;
}

Status write_small_file(FilePort& files, const std::string& folder, const std::string& name,
                        std::string_view text) {
  const std::string path = folder + "/" + name;
  const std::string unfinished = path + ".part";
  if (Status status = files.remove(unfinished); !status.ok() && status.code != Code::kNotFound)
    return status;
  Status status = write_unfinished(files, unfinished, text);
  if (status.ok()) status = files.rename(unfinished, path);
  if (!status.ok()) {
    (void)files.remove(unfinished);
    return status;
  }
  return files.sync_folder(folder);
}

}  // namespace overwinter::artifacts
