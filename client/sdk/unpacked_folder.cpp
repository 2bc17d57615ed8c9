#include "client/sdk/unpacked_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"
#include "common/formats/archive.h"

namespace overwinter::client {
namespace {

namespace fs = std::filesystem;

// Removed with all that is in it, whatever becomes of the rest.
class Beside {
 public:
  explicit Beside(const fs::path& folder) {
    std::string name =
        (folder.parent_path() / ("." + folder.filename().string() + ".part-XXXXXX")).string();
    if (::mkdtemp(name.data()) != nullptr) path = name;
  }
  ~Beside() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  fs::path path;  // empty: it could not be made
};

Status check_free(const fs::path& folder) {
  std::error_code problem;
  const auto kind = fs::symlink_status(folder, problem).type();
  if (kind == fs::file_type::not_found) return Status::success();
  if (kind != fs::file_type::directory)
    return error(Code::kAlreadyExists, folder.string() + " is there already and is no folder", "-o",
                 "say another one: -o DIR");
  if (!fs::is_empty(folder, problem) || problem)
    return error(Code::kAlreadyExists, "the folder " + folder.string() + " is not empty", "-o",
                 "say another one: -o DIR");
  if (fs::equivalent(folder, fs::current_path(problem), problem))
    return error(Code::kAlreadyExists, "the current folder cannot be replaced", "-o",
                 "say one that is not there yet: -o DIR");
  return Status::success();
}

Status unpack_file(const fs::path& archive, const fs::path& folder) {
  const int file = ::open(archive.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return error(Code::kInternal, "cannot read " + archive.string() + ": " + std::strerror(errno));
  formats::UnpackOptions options;
  options.bytes_max = formats::kOutputsBytesMax;
  Status status = formats::unpack_archive(
      [&](std::span<std::byte> out) -> Result<std::size_t> {
        for (;;) {
          const ssize_t n = ::read(file, out.data(), out.size());
          if (n < 0 && errno == EINTR) continue;
          if (n < 0) return fail(Code::kInternal, std::strerror(errno));
          return static_cast<std::size_t>(n);
        }
      },
      folder, options);
  ::close(file);
  return status;
}

}  // namespace

Status unpack_beside(const fs::path& folder,
                     const std::function<Status(const fs::path& file)>& fetch) {
  fs::path target = fs::absolute(folder).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "DIR/"
  if (Status status = check_free(target); !status.ok()) return status;
  std::error_code problem;
  fs::create_directories(target.parent_path(), problem);
  const Beside beside(target);
  if (beside.path.empty())
    return error(Code::kInvalidArgument,
                 "cannot write beside " + target.string() + ": " + std::strerror(errno), "-o");
  const fs::path archive = beside.path / "archive.owar";
  if (Status status = fetch(archive); !status.ok()) return status;
  const fs::path files = beside.path / "files";
  fs::create_directory(files, problem);
  if (Status status = unpack_file(archive, files); !status.ok()) {
    // What the coordinator stored is what a worker's program left: not this caller's mistake.
    if (status.code == Code::kInvalidArgument) status.code = Code::kInternal;
    return status;
  }
  if (::rename(files.c_str(), target.c_str()) != 0)
    return error(Code::kInvalidArgument,
                 "cannot make the folder " + target.string() + ": " + std::strerror(errno), "-o");
  return Status::success();
}

Status Client::download_folder(const std::string& job, bool workdir, const std::string& folder,
                               const ByteProgress& progress) {
  return unpack_beside(folder, [&](const fs::path& file) {
    v1::DownloadArtifactRequest request;
    request.set_job(job);
    request.set_workdir(workdir);
    return impl_->explained(impl_->artifacts->download(request, file, progress));
  });
}

}  // namespace overwinter::client
